// A real HTTP server on loopback with a model directory, and with every bad habit that a test asks for.

import { createHash } from "node:crypto";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

export const sha256Of = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Bytes that are no pattern, the same for the same seed. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state & 255;
  }
  return bytes;
}

export interface Request {
  name: string;
  method: string;
  range: string | undefined;
}

/** Answers a request in place of the server, or says that it does not. */
export type Habit = (request: Request, response: ServerResponse, count: number) => boolean | void;

export class ModelServer {
  readonly files = new Map<string, Uint8Array>();
  readonly requests: Request[] = [];
  ranges = true;
  habit: Habit = () => false;
  #url = "";
  readonly #server = createServer((request, response) => this.#answer(request, response));

  /** A server with a small model: its files and the manifest that names them. */
  static async start(weights = noise(5_000)): Promise<ModelServer> {
    const server = new ModelServer();
    server.files.set("config.json", new TextEncoder().encode("{}"));
    server.files.set("tokenizer.json", noise(700, 7));
    server.files.set("model.safetensors", weights);
    server.sign();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    server.#url = `http://127.0.0.1:${(server.#server.address() as AddressInfo).port}/model/`;
    return server;
  }

  /** Writes the manifest of the present files. */
  sign(extra: Record<string, unknown> = {}): void {
    this.files.delete("conclave.json");
    const files = Object.fromEntries([...this.files].map(([name, bytes]) => [name, sha256Of(bytes)]));
    this.files.set("conclave.json", new TextEncoder().encode(JSON.stringify({ format: 1, files, ...extra })));
  }

  get url(): string {
    return this.#url;
  }

  /** The requests for a file, as the ranges that were asked for. */
  asked(name: string): (string | undefined)[] {
    return this.requests.filter((request) => request.name === name).map((request) => request.range);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(incoming: IncomingMessage, response: ServerResponse): void {
    const name = (incoming.url ?? "").split("?")[0]!.split("/").pop()!;
    const request = { name, method: incoming.method ?? "", range: incoming.headers.range };
    this.requests.push(request);
    const count = this.asked(name).length;
    if (this.habit(request, response, count) === true) return;
    const bytes = this.files.get(name);
    if (bytes === undefined) return void response.writeHead(404).end();
    const start = this.ranges ? /^bytes=(\d+)-$/.exec(request.range ?? "")?.[1] : undefined;
    if (start === undefined) {
      return void response.writeHead(200, { "content-length": bytes.length }).end(bytes);
    }
    if (Number(start) >= bytes.length) {
      return void response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
    }
    const part = bytes.subarray(Number(start));
    const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
    response.writeHead(206, { "content-range": range, "content-length": part.length }).end(part);
  }
}

/** Sends `length` bytes of the file from `start`, promising all of it, and cuts the connection. */
export function cut(server: ModelServer, request: Request, response: ServerResponse, length: number): true {
  const bytes = server.files.get(request.name)!;
  const start = Number(/^bytes=(\d+)-/.exec(request.range ?? "")?.[1] ?? 0);
  const headers: Record<string, string | number> = { "content-length": bytes.length - start };
  if (start > 0) headers["content-range"] = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
  response.writeHead(start > 0 ? 206 : 200, headers);
  response.write(bytes.subarray(start, start + length), () => response.destroy());
  return true;
}
