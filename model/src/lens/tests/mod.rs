//! What lenses answer: scenarios as tables, and laws over random scenes.

mod conflicts;
mod deciding;
mod laws;
mod scene;
mod sifting;
