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
            Kind::Path | Kind::Text => "elsewhere".to_owned(),
            Kind::Address => "[::1]:9".to_owned(),
            Kind::Switch => "true".to_owned(),
            Kind::Word(words) => (*words.last().unwrap()).to_owned(),
            Kind::Bytes { max, .. } | Kind::Millis { max, .. } | Kind::Count { max, .. } => max.to_string(),
        };
        let by_variable = load("", &[(&setting.variable(), &text)], &[]).unwrap();
        let by_flag = load("", &[], &[(setting.key, &text)]).unwrap();
        let by_file = load(&to_toml(&by_variable), &[], &[]).unwrap();
        assert_eq!(by_variable.settings, by_flag.settings, "{}", setting.key);
        assert_eq!(by_variable.settings, by_file.settings, "{}", setting.key);
        assert_ne!(by_variable.settings, Settings::default(), "{}", setting.key);
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
