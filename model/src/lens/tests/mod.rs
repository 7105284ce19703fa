//! What lenses answer: scenarios as tables, and laws over random scenes.

mod laws;
mod scenarios;
mod scene;
