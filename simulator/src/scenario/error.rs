//! What is wrong with a scenario, and where.

use std::ops::Range;

/// What is wrong with a scenario, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct ScenarioError {
    /// Counted from 1; 1 when the whole file is meant.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What it is, and what to do.
    pub problem: String,
}

impl ScenarioError {
    pub(super) fn at(text: &str, span: Option<Range<usize>>, problem: String) -> Self {
        let start = span.map_or(0, |s| s.start).min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Self { line, column, problem }
    }

    pub(super) fn syntax(text: &str, error: &toml::de::Error) -> Self {
        Self::at(text, error.span(), error.message().to_owned())
    }
}
