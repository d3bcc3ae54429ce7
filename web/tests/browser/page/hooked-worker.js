// The package's worker behind a hook, which runs first.

import "./hook-by-name.js";
import "/web/dist/worker.js";
