//! One `check`-like helper loads settings from three sources; the tests feed it.

use super::*;

fn load(file: &str, variables: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Loaded, Refused> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Sources {
        file: Some((PathBuf::from("stemedb.toml"), file.to_owned())),
        variables: variables.iter().map(owned).collect(),
        flags: flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(),
    }
    .load()
}

fn refusal(file: &str, variables: &[(&str, &str)], flags: &[(&'static str, &str)]) -> String {
    load(file, variables, flags).unwrap_err().to_string()
}

#[test]
fn every_default_is_of_its_kind_and_reads_back() {
    let defaults = Settings::default();
    for setting in ALL.iter().filter(|setting| !setting.default.is_empty()) {
        let mut read = Settings::blank();
        assert_eq!((setting.read)(&mut read, setting.default, setting.kind), Some(()), "{}", setting.key);
        assert_eq!(setting.value(&read), setting.value(&defaults), "{}", setting.key);
        assert_eq!(setting.value(&defaults), setting.default, "the default of {} is spelt as shown", setting.key);
    }
    assert_eq!(defaults.wal_folder(), PathBuf::from("./data/wal"));
    assert_eq!(defaults.db_folder(), PathBuf::from("./data/db"));
}

#[test]
fn names_flags_and_variables_are_distinct() {
    for spelling in [|s: &Setting| s.key.to_owned(), Setting::variable, Setting::flag] {
        let mut names: Vec<_> = ALL.iter().map(spelling).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
    assert!(ALL.iter().all(|setting| !COMMAND_VARIABLES.contains(&setting.variable().as_str())));
}

#[test]
fn flags_beat_the_environment_beats_the_file_beats_the_default() {
    let file = "write.queue_max = 2";
    let variable = ("STEMEDB_WRITE_QUEUE_MAX", "3");
    let flag = ("write.queue_max", "4");
    for (file, variables, flags, expected) in [
        ("", vec![], vec![], 8192),
        (file, vec![], vec![], 2),
        (file, vec![variable], vec![], 3),
        (file, vec![variable], vec![flag], 4),
        ("", vec![variable], vec![], 3),
        (file, vec![("STEMEDB_WRITE_QUEUE_MAX", "")], vec![], 2),
    ] {
        let loaded = load(file, &variables, &flags).unwrap();
        assert_eq!(loaded.settings.write_queue_max, expected, "{file} {variables:?} {flags:?}");
    }
}

#[test]
fn every_setting_can_be_set_by_file_variable_and_flag() {
    for setting in ALL {
        let text = match setting.kind {
            Kind::Path | Kind::Text | Kind::Host | Kind::Name => "elsewhere".to_owned(),
            Kind::Seeds => "elsewhere:1,[::1]:2".to_owned(),
            Kind::Cluster => "0123456789abcdef0123456789abcdef".to_owned(),
            Kind::Address => "[::1]:9".to_owned(),
            Kind::Switch => "true".to_owned(),
            Kind::Word(words) => (*words.last().unwrap()).to_owned(),
            Kind::Bytes { max, .. } | Kind::Millis { max, .. } | Kind::Count { max, .. } => max.to_string(),
        };
        // What others demand beside them.
        let mut needs = vec![("STEMEDB_SEEDS", "a:1"), ("STEMEDB_CLUSTER_KEY_FILE", "/key")];
        let variable = setting.variable();
        needs.retain(|(name, _)| *name != variable);
        let by_flag = load("", &needs, &[(setting.key, &text)]).unwrap();
        let unset = load("", &needs, &[]).map(|loaded| loaded.settings);
        needs.push((&variable, &text));
        let by_variable = load("", &needs, &[]).unwrap();
        let by_file = load(&to_toml(&by_variable), &[], &[]).unwrap();
        assert_eq!(by_variable.settings, by_flag.settings, "{}", setting.key);
        assert_eq!(by_variable.settings, by_file.settings, "{}", setting.key);
        assert_ne!(Ok(by_variable.settings), unset, "{}", setting.key);
    }
}

#[test]
fn other_peoples_variables_are_left_alone() {
    let kubernetes = [("STEMEDB_SERVICE_HOST", "10.0.0.1"), ("STEMEDB_PORT_18180_TCP", "tcp://10.0.0.1:18180")];
    assert_eq!(load("", &kubernetes, &[]).unwrap().settings, Settings::default());
    assert_eq!(load("", &[("STEMEDB_URL", "x"), ("HOME", "/")], &[]).unwrap().settings, Settings::default());
}

#[test]
fn unknown_names_are_refused_with_the_nearest_known_one() {
    expect_test::expect![[r#"
        there is no setting colour (in stemedb.toml); `stemedb config` lists all settings
        there is no setting index.engin (in stemedb.toml); did you mean index.engine?; `stemedb config` lists all settings
        there is no setting STEMEDB_DATADIR (from the environment variable STEMEDB_DATADIR); did you mean STEMEDB_DATA_DIR?; `stemedb config` lists all settings"#]]
    .assert_eq(&refusal("colour = 1\n[index]\nengin = 'sled'", &[("STEMEDB_DATADIR", "x")], &[]));
}

#[test]
fn wrong_values_name_setting_source_value_and_what_would_be_accepted() {
    expect_test::expect![[r#"
        data_dir cannot be 5 (in stemedb.toml): expected a path
        index.engine cannot be "rocks" (in stemedb.toml): expected sled or fjall
        bind_addr cannot be "localhost" (from the environment variable STEMEDB_BIND_ADDR): expected an IP address and a port, like 127.0.0.1:18180 or [::]:18180
        log.segment_bytes_max cannot be "1GB/s" (from the flag --log-segment-bytes-max): expected a size from 1MiB to 1GiB, like 64MiB"#]]
    .assert_eq(&refusal(
        "data_dir = 5\nindex.engine = 'rocks'",
        &[("STEMEDB_BIND_ADDR", "localhost")],
        &[("log.segment_bytes_max", "1GB/s")],
    ));
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_the_place() {
    let message = refusal("bind_addr = ", &[], &[]);
    assert!(message.starts_with("the settings file stemedb.toml is not TOML: TOML parse error at line 1"), "{message}");
}

#[test]
fn settings_that_contradict_each_other_are_refused_with_the_way_out() {
    let file = "
        seeds = ['db-1:18183', 'db-2:18183']
        cluster.id = '0123456789abcdef0123456789abcdef'
        rpc_addr = '127.0.0.1:18180'
    ";
    expect_test::expect![[r#"
        seeds (in stemedb.toml) needs cluster_key_file: make a key with `stemedb keygen --cluster` and give every node a copy
        cluster.id (in stemedb.toml) needs cluster_key_file: make a key with `stemedb keygen --cluster` and give every node a copy
        rpc_addr (in stemedb.toml) is 127.0.0.1:18180, where bind_addr listens already"#]]
    .assert_eq(&refusal(file, &[], &[]));
    let file = "
        bootstrap_expect = 3
        data_dir = './data'
        cluster_key_file = 'data/cluster.key'
        rpc_addr = '0.0.0.0:18182'
        gossip_addr = '[::]:18183'
    ";
    expect_test::expect![[r#"
        cluster_key_file (in stemedb.toml) must lie outside data_dir: a node that lost its data must not have lost its cluster with it
        rpc_addr (in stemedb.toml) listens on 0.0.0.0:18182, which is no address that others can call: set advertise_host
        gossip_addr (in stemedb.toml) listens on [::]:18183, which is no address that others can call: set advertise_host
        bootstrap_expect (in stemedb.toml) needs seeds: the nodes that found together must find each other"#]]
    .assert_eq(&refusal(file, &[], &[]));
}

#[test]
fn three_nodes_that_found_a_cluster_need_four_settings() {
    let file = "
        seeds = 'db-1:18183,db-2:18183,db-3:18183'
        bootstrap_expect = 3
        cluster_key_file = '/run/secrets/cluster.key'
        advertise_host = 'db-1'
        rpc_addr = '0.0.0.0:18182'
        gossip_addr = '0.0.0.0:18183'
    ";
    let settings = load(file, &[], &[]).unwrap().settings;
    assert_eq!((settings.seeds.0.len(), settings.bootstrap_expect), (3, Some(3)));
}
