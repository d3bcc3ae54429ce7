//! Tests of whole files: fixtures made by PyPI gguf (`make_fixtures.py`), files built here, and hostile ones.

#[path = "suite/allocation.rs"]
mod allocation;
#[path = "suite/blocks.rs"]
mod blocks;
#[path = "suite/build.rs"]
mod build;
#[path = "suite/hostile.rs"]
mod hostile;
#[path = "suite/model.rs"]
mod model;
#[path = "suite/refusals.rs"]
mod refusals;
#[path = "suite/structure.rs"]
mod structure;
