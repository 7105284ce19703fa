//! The command line as a whole: help that stays in step with the code, and commands against a node that is played.

use super::*;
use clap::CommandFactory as _;
use model::Timestamp;

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
          demo         Starts three nodes on this machine, kills one while claims are written, and reports
                       what was lost: nothing
          config       Prints every setting with its documentation, default and current value
          keygen       Makes a secret key and prints the agent it signs as
          assert       Signs one claim and sends it
          vote         Signs a verdict on a claim and sends it
          query        Shows what is claimed, resolved by a lens, and why it won
          skeptic      Shows how contested a question is: every value, its share and who holds it
          layered      Shows what each tier of sources says
          import       Signs and sends claims from a file, or sends signed envelopes
          export       Writes every record as a signed envelope that `import` takes anywhere
          status       Shows how the cluster and the node are, what is wrong first
          node         Shows the nodes of the cluster
          settings     Shows or changes what holds for the whole cluster, on the admin listener
          verify       Checks a data folder that no node has open
          erase        Removes the body of a record for ever, on the admin listener
          completions  Prints a completion script for a shell
          help         Print this message or the help of the given subcommand(s)

        Options:
              --url <URL>        The node to talk to [env: STEMEDB_URL] [default: http://127.0.0.1:18180]
              --admin-url <URL>  The admin listener of the node, for `erase`, `node`, `settings` and
                                 `status` [env: STEMEDB_ADMIN_URL] [default: http://127.0.0.1:18181]
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
    "#]]
    .assert_eq(&Arguments::command().render_help().to_string());
}

#[test]
fn the_documented_settings_are_those_of_the_code() {
    let defaults = crate::settings::Sources::default().load().unwrap();
    expect_test::expect_file!["../../../docs/settings.toml"].assert_eq(&crate::settings::to_toml(&defaults));
}

#[test]
fn config_shows_what_was_set_and_where() {
    let flags = vec![("index.cache_bytes", "1024MiB".to_owned())];
    let changed = crate::settings::Sources { flags, ..Default::default() }.load().unwrap();
    let printed = crate::settings::to_toml(&changed);
    let expected = "# Default: \"64MiB\"; set from the flag --index-cache-bytes.\ncache_bytes = \"1GiB\"\n";
    assert!(printed.contains(expected), "{printed}");
}

#[test]
fn an_env_file_lists_every_variable() {
    let env = crate::settings::to_env();
    assert!(crate::settings::ALL.iter().all(|setting| env.contains(&format!("\n#{}=", setting.variable()))), "{env}");
}

#[test]
fn help_of_serve_lists_every_setting() {
    let mut command = Arguments::command();
    let help = command.find_subcommand_mut("serve").unwrap().render_long_help().to_string();
    for setting in crate::settings::ALL {
        assert!(help.contains(&format!("--{} ", setting.flag())) || help.contains(&format!("--{}[", setting.flag())));
    }
}

fn failure_of(arguments: &[&str]) -> Failure {
    printed_by(arguments).unwrap_err()
}

fn printed_by(arguments: &[&str]) -> Result<String, Failure> {
    let arguments = Arguments::try_parse_from(["stemedb"].iter().chain(arguments)).unwrap();
    let mut out = Vec::new();
    let mut console = Console {
        out: &mut out,
        for_person: false,
        color: false,
        columns: 100,
        progress: false,
        now: Timestamp::from_ms(1000).unwrap(),
    };
    let node = Node { serve: |_| Err(Failure::Failed("served".to_owned())), verify: |_| Ok(Verified::default()) };
    act(arguments, node, &mut console)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn the_key_of_a_cluster_is_made_once_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.key");
    let keygen = || printed_by(&["keygen", "--cluster", "--out", path.to_str().unwrap()]);
    assert!(keygen().unwrap().contains("cluster_key_file"));
    let key = crate::cluster_key::KeyFile::read(&storage::disk::StdDisk, &path).unwrap();
    assert_ne!(key.keys().key.0, [0; 32]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(keygen(), Err(Failure::Refused(_))));
}

#[test]
fn the_key_of_a_cluster_changes_in_steps_that_say_what_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.key");
    let file = path.to_str().unwrap();
    let missing = printed_by(&["keygen", "--cluster", "--rotate", file]);
    assert!(matches!(missing, Err(Failure::Failed(why)) if why.contains("does not exist")));
    printed_by(&["keygen", "--cluster", "--out", file]).unwrap();
    let read = || crate::cluster_key::KeyFile::read(&storage::disk::StdDisk, &path).unwrap();
    let before = read();
    for (word, holds_two) in [("added", true), ("used", true), ("dropped", false)] {
        let said = printed_by(&["keygen", "--cluster", "--rotate", file]).unwrap();
        assert!(said.contains(word) && said.contains("SIGHUP"), "{said}");
        assert_eq!(read().keys().also.is_some(), holds_two);
    }
    assert_ne!(read().keys(), before.keys());
    assert_eq!(read().set_key().fingerprint(), before.set_key().fingerprint());
}

#[test]
fn errors_name_the_cause_and_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().to_str().unwrap();
    for (arguments, kind, part) in [
        (&["assert", "s", "p", "v", "--key-dir", keys][..], 1, "make one with `stemedb keygen`"),
        (&["query", "s", "--url", "http://127.0.0.1:1"], 1, "Start one with `stemedb serve`"),
        (&["query", "s", "--url", "127.0.0.1:1"], 2, "begins with http://"),
        (&["erase", &"0".repeat(64)], 2, "add --yes"),
        (&["serve", "--index-engine", "rocks"], 2, "expected sled or fjall"),
        (&["serve", "--index-engine", "fjall"], 1, "served"),
        (&["serve", "--seeds", "db-1:18183"], 2, "seeds (from the flag --seeds) needs cluster_key_file"),
    ] {
        let failure = failure_of(arguments);
        let code = match failure {
            Failure::Failed(_) | Failure::Output(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Refused(_) => 3,
        };
        assert_eq!(code, kind, "{failure}");
        assert!(failure.to_string().contains(part), "{failure}");
    }
}
