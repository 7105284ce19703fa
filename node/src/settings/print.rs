//! Settings as people and programs read them: a commented TOML file, JSON, an `.env` file.
//!
//! What is printed always reads back as the same settings.

use super::{ALL, Loaded, Origin, Setting};
use std::fmt::Write as _;

/// A TOML file with the documentation, default and origin of every setting.
///
/// Settings at their default are commented out, so that the file holds exactly what was changed.
pub fn to_toml(loaded: &Loaded) -> String {
    let mut out = String::from("# Settings of a StemeDB node: this file, then the environment, then flags.\n");
    let mut section = "";
    for setting in ALL {
        let (this, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if this != section {
            section = this;
            line(&mut out, format_args!("\n[{section}]"));
        }
        line(&mut out, format_args!(""));
        setting.docs.iter().for_each(|doc| line(&mut out, format_args!("#{doc}")));
        line(&mut out, format_args!("# {}.", capitalised(&setting.kind.accepts())));
        line(&mut out, format_args!("# {}, --{}", setting.variable(), setting.flag()));
        assignment(&mut out, setting, name, loaded);
    }
    out
}

fn assignment(out: &mut String, setting: &Setting, name: &str, loaded: &Loaded) {
    let default = toml_value(setting, setting.default);
    match loaded.origin(setting) {
        Origin::Default => line(out, format_args!("#{name} = {default}")),
        origin @ (Origin::File(_) | Origin::Variable(_) | Origin::Flag(_)) => {
            let value = toml_value(setting, &setting.value(&loaded.settings));
            line(out, format_args!("# Default: {default}; set {origin}."));
            line(out, format_args!("{name} = {value}"));
        }
    }
}

/// A default that follows from another setting is shown as dots.
fn toml_value(setting: &Setting, text: &str) -> String {
    let text = if text.is_empty() { "..." } else { text };
    if setting.kind.quoted(text) { toml::Value::String(text.to_owned()).to_string() } else { text.to_owned() }
}

/// An `.env` file with the default of every setting, each commented out.
pub fn to_env() -> String {
    let mut out = String::from("# Environment of a StemeDB node. Uncomment what you want to change.\n");
    for setting in ALL {
        line(&mut out, format_args!(""));
        setting.docs.iter().for_each(|doc| line(&mut out, format_args!("#{doc}")));
        line(&mut out, format_args!("# {}.", capitalised(&setting.kind.accepts())));
        line(&mut out, format_args!("#{}={}", setting.variable(), setting.default));
    }
    out
}

/// An array with one object a setting: `key`, `value`, `default`, `source`, `accepts`, `variable`, `flag`, `docs`.
pub fn to_json(loaded: &Loaded) -> serde_json::Value {
    let object = |setting: &Setting| {
        let source = match loaded.origin(setting) {
            Origin::Default => "default",
            Origin::File(_) => "file",
            Origin::Variable(_) => "environment",
            Origin::Flag(_) => "flag",
        };
        serde_json::json!({
            "key": setting.key,
            "value": setting.value(&loaded.settings),
            "default": setting.default,
            "source": source,
            "accepts": setting.kind.accepts(),
            "variable": setting.variable(),
            "flag": format!("--{}", setting.flag()),
            "docs": setting.docs.iter().map(|doc| doc.trim()).collect::<Vec<_>>().join(" "),
        })
    };
    ALL.iter().map(object).collect()
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).and_then(|()| out.write_char('\n')).unwrap_or_else(|_| unreachable!("a String takes any text"));
}

fn capitalised(phrase: &str) -> String {
    let mut characters = phrase.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
