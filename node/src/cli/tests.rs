//! The command line as a whole: help that stays in step with the code, and commands against a node that is played.

use super::*;
use clap::CommandFactory as _;

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn help_lists_every_command_and_the_exit_codes() {
    expect_test::expect![[r#"
        A database of signed claims that may contradict each other

        Usage: stemedb [OPTIONS] <COMMAND>

        Commands:
          serve        Runs a node on a data folder; nothing else is needed
          config       Prints every setting with its documentation, default and current value
          keygen       Makes a secret key and prints the agent it signs as
          assert       Signs one claim and sends it
          vote         Signs a verdict on a claim and sends it
          query        Shows what is claimed, resolved by a lens, and why it won
          skeptic      Shows how contested a question is: every value, its share and who holds it
          layered      Shows what each tier of sources says
          import       Signs and sends claims from a file, or sends signed envelopes
          export       Writes every record as a signed envelope that `import` takes anywhere
          status       Shows how the node is
          verify       Checks a data folder that no node has open
          erase        Removes the body of a record for ever, on the admin listener
          completions  Prints a completion script for a shell
          help         Print this message or the help of the given subcommand(s)

        Options:
              --url <URL>        The node to talk to [env: STEMEDB_URL] [default: http://127.0.0.1:18180]
              --admin-url <URL>  The admin listener of the node, for `erase` and `status` [env:
                                 STEMEDB_ADMIN_URL] [default: http://127.0.0.1:18181]
              --json             Prints JSON, for programs
              --key-dir <DIR>    Where secret keys are kept, one per source [default:
                                 $XDG_DATA_HOME/stemedb/keys] [env: STEMEDB_KEY_DIR]
          -h, --help             Print help (see more with '--help')
          -V, --version          Print version

        Exit codes:
          0  done
          1  failed: no node was reached, or something went wrong on the way
          2  wrong usage or settings
          3  refused: the input was looked at and will never be taken as it is
    "#]].assert_eq(&Arguments::command().render_help().to_string());
}
