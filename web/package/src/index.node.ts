// The entry for Node.js: the model runs on the CPU, in the calling thread.

import { node } from "./platform/node.js";
import { setPlatform } from "./platform/platform.js";
import "./client.node.js";
import "./vote.node.js";

setPlatform(node);

export * from "./api.js";
