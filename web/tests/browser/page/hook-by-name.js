import { hook } from "./hooks.js";

hook(self.name);
