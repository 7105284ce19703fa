//! What there is to try on a cluster that runs: commands that can be pasted into a shell as they stand.

use super::ground::Place;
use std::path::{Path, PathBuf};

/// Commands for one node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hints {
    /// Sets what the commands need.
    pub(super) environment: String,
    /// Each with what it shows.
    pub(super) commands: Vec<(String, &'static str)>,
}

impl Hints {
    /// With `program` as it would be typed, the node at `place`, and the keys by which sources have names.
    pub(super) fn new(program: &str, place: &Place, keys: &Path) -> Self {
        let (url, admin_url, keys) = (place.url(), place.admin_url(), quoted(&keys.display().to_string()));
        let command = |arguments: &str, shows| (format!("{program} {arguments}"), shows);
        Self {
            environment: format!("export STEMEDB_URL={url} STEMEDB_ADMIN_URL={admin_url} STEMEDB_KEY_DIR={keys}"),
            commands: vec![
                command("query geo://country/BO capital", "the capital of Bolivia, by authority, and why"),
                command("query geo://country/BO capital --lens recency", "the same, by the newest claim"),
                command("skeptic geo://country/FR population", "how contested the population of France is"),
                command("node list", "the nodes, what they hold and how far they are behind"),
                command("status --watch", "the cluster at a glance, again and again"),
            ],
        }
    }
}

/// How this program would be typed: by its name if one of `folders` has it, else by its path from `here`.
pub(super) fn typed(program: &Path, here: &Path, folders: impl IntoIterator<Item = PathBuf>) -> String {
    let is_it = |found: PathBuf| found.canonicalize().is_ok_and(|found| found == program);
    let name = program.file_name().map(PathBuf::from).unwrap_or_default();
    let path = match program.strip_prefix(here) {
        _ if folders.into_iter().any(|folder| is_it(folder.join(&name))) => name,
        Ok(below) if below.components().count() == 1 => Path::new(".").join(below),
        Ok(below) => below.to_owned(),
        Err(_) => program.to_owned(),
    };
    quoted(&path.display().to_string())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "/._-+:@%".contains(character);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_called_as_it_would_be_typed() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().canonicalize().unwrap();
        let program = here.join("stemedb");
        std::fs::write(&program, "").unwrap();
        assert_eq!(typed(&program, &here, [here.clone()]), "stemedb");
        assert_eq!(typed(&program, &here, []), "./stemedb");
        assert_eq!(
            typed(&program, here.parent().unwrap(), []),
            format!("{}/stemedb", here.file_name().unwrap().display())
        );
        assert_eq!(typed(&program, Path::new("/nowhere"), []), program.display().to_string());
    }

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(quoted("/tmp/stemedb-demo-1/keys"), "/tmp/stemedb-demo-1/keys");
        assert_eq!(quoted("/tmp/my keys; rm 'x'"), r"'/tmp/my keys; rm '\''x'\'''");
    }
}
