// The entry for workerd: the model runs on the CPU.

import { setPlatform } from "./platform/platform.js";
import { workerd } from "./platform/workerd.js";
import "./client.workerd.js";
import "./vote.workerd.js";

setPlatform(workerd);

export * from "./api.js";
