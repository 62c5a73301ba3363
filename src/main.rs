//! The program's exit status; everything else is the library's.

use std::process::ExitCode;

fn main() -> ExitCode {
    if rdmsetup::cli::run(std::env::args_os()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
