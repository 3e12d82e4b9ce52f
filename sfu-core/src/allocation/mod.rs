//! What a viewer's downlink carries: which pictures, in which slots, in which encodings.

pub mod ladder;
pub mod layout;

pub use ladder::{Ladder, Rung};
pub use layout::{Layout, LayoutInput, Publisher, Rates, Shown, View};
