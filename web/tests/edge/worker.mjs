// The worker for workerd: the request is the body, and so is the answer.
import { use } from "./use.mjs";

export default {
  async fetch(request) {
    try {
      return Response.json(await use(await request.json()));
    } catch (error) {
      return new Response(error.stack, { status: 500 });
    }
  },
};
