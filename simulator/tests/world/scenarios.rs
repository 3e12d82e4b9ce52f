//! What is wrong with a scenario is said with its place.

use crate::harness::{group, nodes};
use simulator::Scenario;

fn problem(text: &str) -> String {
    Scenario::parse(text).unwrap_err().to_string()
}

#[test]
fn a_mistake_is_named_with_line_and_column() {
    let head = "name = \"x\"\nduration_s = 1\n";
    let cases = [
        ("name = \"x\"\nduration_s = \n".to_owned(), "line 2, column 14"),
        (format!("{head}colour = 1\n"), "line 3, column 1: unknown field `colour`"),
        (
            format!("{head}{}", nodes(&[("a", "mars-1")])),
            "line 10, column 10: there is no region \"mars-1\"",
        ),
        (
            format!("{head}{}{}", nodes(&[("a", "eu-west-1")]), group("b", "eu-west-1", 1, 0)),
            "there is no edge \"b\"",
        ),
        (head.to_owned(), "exactly one [[node]] with role = \"origin\", not 0"),
    ];
    for (text, expected) in cases {
        let found = problem(&text);
        assert!(found.contains(expected), "{found:?} instead of {expected:?}");
    }
}
