//! The `mesh` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesh::cli::main()
}
