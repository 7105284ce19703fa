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
    "#]]
    .assert_eq(&Arguments::command().render_help().to_string());
}

#[test]
fn config_prints_every_setting_as_a_settings_file() {
    let loaded = crate::settings::Sources {
        flags: vec![("index.cache_bytes", "1GiB".to_owned())],
        variables: vec![("STEMEDB_BIND_ADDR".to_owned(), "0.0.0.0:18180".to_owned())],
        ..Default::default()
    }
    .load()
    .unwrap();
    expect_test::expect![[r##"
        # Settings of a StemeDB node: this file, then the environment, then flags.

        # The folder of everything a node keeps. The claim log is in `wal/` and the index in `db/` below it.
        # A path.
        # STEMEDB_DATA_DIR, --data-dir
        #data_dir = "./data"

        # The folder of the claim log, the only one that cannot be rebuilt. Without it: `wal` below data_dir.
        # A path.
        # STEMEDB_WAL_DIR, --wal-dir
        #wal_dir = "..."

        # The folder of the index, rebuilt from the claim log at will. Without it: `db` below data_dir.
        # A path.
        # STEMEDB_DB_DIR, --db-dir
        #db_dir = "..."

        # Where clients connect. Only this machine by default; `0.0.0.0:18180` listens on every interface.
        # An IP address and a port, like 127.0.0.1:18180 or [::]:18180.
        # STEMEDB_BIND_ADDR, --bind-addr
        # Default: "127.0.0.1:18180"; set from the environment variable STEMEDB_BIND_ADDR.
        bind_addr = "0.0.0.0:18180"

        # Where operators connect. It can erase claims: never let it be reached from outside.
        # An IP address and a port, like 127.0.0.1:18180 or [::]:18180.
        # STEMEDB_ADMIN_ADDR, --admin-addr
        #admin_addr = "127.0.0.1:18181"

        # How long a shutdown waits for requests in flight before it ends them.
        # A time from 0 to 600s, like 1500ms or 10s.
        # STEMEDB_SHUTDOWN_DEADLINE_MS, --shutdown-deadline-ms
        #shutdown_deadline_ms = "10s"

        # How far clocks may differ: a wall clock further off than this makes the node refuse writes.
        # A time from 100ms to 3600s, like 1500ms or 10s.
        # STEMEDB_CLOCK_OFFSET_MAX_MS, --clock-offset-max-ms
        #clock_offset_max_ms = "10s"

        # Goes on although the wall clock jumped or lies behind the stamps already given. Use it once, then remove it.
        # True or false.
        # STEMEDB_ACCEPT_CLOCK_JUMP, --accept-clock-jump
        #accept_clock_jump = false

        [index]

        # The engine of the index. Changing it rebuilds the index from the claim log at the next start.
        # Sled or fjall.
        # STEMEDB_INDEX_ENGINE, --index-engine
        #engine = "sled"

        # Memory the index may use for its cache.
        # A size from 1MiB to 1TiB, like 64MiB.
        # STEMEDB_INDEX_CACHE_BYTES, --index-cache-bytes
        # Default: "64MiB"; set from the flag --index-cache-bytes.
        cache_bytes = "1GiB"

        [log]

        # The size at which a segment of the claim log is sealed and the next one begun.
        # A size from 1MiB to 2GiB, like 64MiB.
        # STEMEDB_LOG_SEGMENT_BYTES_MAX, --log-segment-bytes-max
        #segment_bytes_max = "64MiB"

        [scrub]

        # How fast the scrubber re-reads the claim log, per second; 0 switches it off.
        # A size from 0 to 64GiB, like 64MiB.
        # STEMEDB_SCRUB_BYTES_PER_SECOND, --scrub-bytes-per-second
        #bytes_per_second = "8MiB"

        [compaction]

        # How much of a sealed segment may be garbage, in percent, before it is rewritten; 100 only after an erasure.
        # A whole number from 1 to 100.
        # STEMEDB_COMPACTION_GARBAGE_PERCENT, --compaction-garbage-percent
        #garbage_percent = 50

        [write]

        # The most records that wait to be written; beyond it writes get 503 with `Retry-After`.
        # A whole number from 1 to 1000000.
        # STEMEDB_WRITE_QUEUE_MAX, --write-queue-max
        #queue_max = 8192

        # How long a write may take before it is answered with 503. The record may still become durable.
        # A time from 10ms to 600s, like 1500ms or 10s.
        # STEMEDB_WRITE_DEADLINE_MS, --write-deadline-ms
        #deadline_ms = "5s"

        [http]

        # The longest body of a request with one envelope.
        # A size from 1KiB to 1GiB, like 64MiB.
        # STEMEDB_HTTP_BODY_BYTES_MAX, --http-body-bytes-max
        #body_bytes_max = "256KiB"

        # The longest line of `POST /v1/records`.
        # A size from 1KiB to 1GiB, like 64MiB.
        # STEMEDB_HTTP_LINE_BYTES_MAX, --http-line-bytes-max
        #line_bytes_max = "256KiB"

        # The most lines of `POST /v1/records` that are verified and written together.
        # A whole number from 1 to 100000.
        # STEMEDB_HTTP_BATCH_LINES_MAX, --http-batch-lines-max
        #batch_lines_max = 512

        # A batch of `POST /v1/records` is handed over once its lines have this many bytes.
        # A size from 1KiB to 1GiB, like 64MiB.
        # STEMEDB_HTTP_BATCH_BYTES_MAX, --http-batch-bytes-max
        #batch_bytes_max = "1MiB"

        # How long a batch of `POST /v1/records` that is not full waits for more lines.
        # A time from 0 to 60s, like 1500ms or 10s.
        # STEMEDB_HTTP_BATCH_LINGER_MS, --http-batch-linger-ms
        #batch_linger_ms = "2ms"

        # The most batches of one `POST /v1/records` that are under way at once.
        # A whole number from 1 to 64.
        # STEMEDB_HTTP_BATCHES_IN_FLIGHT_MAX, --http-batches-in-flight-max
        #batches_in_flight_max = 4

        # The most requests under way at once; more get 503 with `Retry-After`. Health and metrics do not count.
        # A whole number from 1 to 1000000.
        # STEMEDB_HTTP_INFLIGHT_REQUESTS_MAX, --http-inflight-requests-max
        #inflight_requests_max = 1024

        # How long a request may take until its answer begins; then it gets 503. Streams are not bound by it.
        # A time from 100ms to 3600s, like 1500ms or 10s.
        # STEMEDB_HTTP_REQUEST_MS_MAX, --http-request-ms-max
        #request_ms_max = "30s"

        # How long a client may pause while it sends a body; then it gets 408.
        # A time from 100ms to 3600s, like 1500ms or 10s.
        # STEMEDB_HTTP_BODY_PAUSE_MS_MAX, --http-body-pause-ms-max
        #body_pause_ms_max = "30s"

        # How many questions a page of an answer holds unless the query says otherwise.
        # A whole number from 1 to 100000.
        # STEMEDB_HTTP_PAGE_DEFAULT, --http-page-default
        #page_default = 100

        # The most questions that a query may ask for in one page.
        # A whole number from 1 to 100000.
        # STEMEDB_HTTP_PAGE_MAX, --http-page-max
        #page_max = 1000

        [logging]

        # How log lines look: for people or one JSON object a line.
        # Text or json.
        # STEMEDB_LOGGING_FORMAT, --logging-format
        #format = "text"

        # Which log lines are written, as `level` or `target=level`, comma-separated.
        # A text.
        # RUST_LOG, --logging-filter
        #filter = "info"
    "##]]
    .assert_eq(&crate::settings::to_toml(&loaded));
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
    act(arguments, node, &mut console).unwrap_err()
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
