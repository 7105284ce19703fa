# One screen of commands. `just` lists them.

default:
    @just --list

# the README's main job: three nodes, one of them killed while claims are written
demo *args:
    cargo run --release -p node -- demo {{args}}

# what every change must pass
ci:
    .ci/run

fmt:
    cargo fmt --all

lint:
    cargo clippy --workspace --all-targets -- -D warnings

test *args:
    cargo nextest run --workspace {{args}}
    cargo test --workspace --doc

# a node on ./data
serve *args:
    cargo run --release --bin stemedb -- serve --data-dir data {{args}}

# one node, the countries, two questions
tour:
    cargo run --release --example countries

# micro benchmarks: verification, lenses, the log
bench *args:
    cargo bench --workspace {{args}}

# clusters under faults in simulated time; `just sim --help` lists the scenarios
sim *args:
    cargo run --release -p sim -- {{args}}

# kill -9 under load, more often than in the tests
crash kills="1000":
    CRASH_KILLS={{kills}} cargo nextest run --release -p node --test crash

# kill -9 of the nodes of a cluster under load; prints what was lost and for how long errors were seen
kills kills="100":
    CLUSTER_KILLS={{kills}} cargo nextest run --release -p node --test kills --no-capture

# every fuzz target for a bounded time
fuzz seconds="60":
    fuzz/run.sh {{seconds}}

# schemathesis against a running node
contract:
    deploy/contract/run.sh
