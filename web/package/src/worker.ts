// The module worker of browsers and Deno.

import { browser } from "./platform/browser.js";
import { defaultNetwork } from "./http.js";
import { type WorkerScope, serve } from "./serve.js";

serve(globalThis as unknown as WorkerScope, { ...browser(undefined), network: defaultNetwork() });
