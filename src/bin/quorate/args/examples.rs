//! What each command's help ends with.

pub(super) const EXAMPLES: &str = "\
Examples:
  quorate demo                         three nodes and a shell, in this process
  quorate demo -e \"CREATE TABLE t (key TEXT PRIMARY KEY, value BLOB)\"
  quorate shell --connect 10.0.0.1:7000 --certs certs
  quorate put carts alice '2 apples'

Exit codes: 0 done, 1 could not connect or start, 2 statement or request failed, 3 bad usage or configuration.";

pub(super) const DEMO_EXAMPLES: &str = "\
On a terminal a shell opens; otherwise statements come from -e, -f or standard input.

Examples:
  quorate demo
  quorate demo --nodes 5 --data ./demo
  quorate demo --data ./demo -f schema.cql
  echo \"DESCRIBE CLUSTER\" | quorate demo --output json";

pub(super) const SHELL_EXAMPLES: &str = "\
On a terminal a shell opens; otherwise statements come from -e, -f or standard input.

Examples:
  quorate shell --connect 10.0.0.1:7000,10.0.0.2:7000 --certs ./certs
  quorate shell -e \"SELECT value FROM carts WHERE key = 'alice'\" --output json
  quorate shell -f schema.cql";

pub(super) const GET_EXAMPLES: &str = "\
Prints each value on a line of its own: nothing, and exit code 0, for an absent key. Concurrent values of a key \
are followed by the context that replaces them, on standard error; in JSON and CSV it stands beside the values.

Examples:
  quorate get carts alice
  quorate get carts alice --output json
  quorate get carts alice --consistency ONE";

pub(super) const PUT_EXAMPLES: &str = "\
Examples:
  quorate put carts alice '2 apples'
  quorate put carts alice - < basket.bin
  quorate put sessions alice token --ttl 30m
  quorate put locks nightly \"worker $$\" --if-absent && echo 'we have it'
  context=$(quorate get carts alice --output jsonl | jq -r .context)
  quorate put carts alice '3 apples' --context \"$context\"";

pub(super) const ADMIN_EXAMPLES: &str = "\
For status, nodes, ring and tables the first node of --connect that answers tells what it knows: its own \
connections, and what gossip has brought it from the others. Ask another node to see the cluster with its eyes. \
For hints, repair, scrub and key every node is asked that the first one does not call down or stopped; if one is \
missing the others' answers are printed, and the exit code is 2. A node that drains takes no requests any more, \
ends those under way, gives away the hints that it can and ends its process; if that is supervised, have the \
supervisor stop it instead, which does the same. `drain` waits until it serves nobody any more (exit code 0); the \
exit code is 2 if there is no such node, or it has not stopped within --timeout.

Examples:
  quorate admin status --connect 10.0.0.1:7000 --certs ./certs
  quorate admin status --output json | jq -r '.[0].verdict'
  quorate admin status --check > /dev/null || page-me  (2: degraded, 4: failing)
  quorate admin nodes --connect 10.0.0.3:7000 --wide
  quorate admin ring
  quorate admin tables --output csv
  quorate admin hints
  quorate admin scrub --now --timeout 10m
  quorate admin repair --now --table carts
  quorate admin key carts alice
  quorate admin backup nightly --all
  quorate admin backup before-upgrade --node n2 --rate 100MiB
  quorate admin drain n2
  quorate admin drain n2 --timeout 30s --output json | jq -r '.[0].state'";

pub(super) const BENCH_EXAMPLES: &str = "\
Every answer is verified: it must be a value of its key, undamaged, and at QUORUM and ALL not older than what \
was acknowledged before. Latencies count what was not asked while clients waited, too.

Examples:
  quorate bench
  quorate bench --workload write --table-kind register --clients 256
  quorate bench --workload ycsb-b --rate 5000 --seconds 60 --plot ycsb-b.svg
  quorate bench --workload read --connect 10.0.0.1:7000 --json | jq .p99_ms";

pub(super) const RESTORE_EXAMPLES: &str = "\
Every byte is verified before anything is written. Tables that are missing are created; then each value is \
written anew: it replaces what the key holds, keeps what is left of its time, and concurrent values stay side by \
side. What was deleted or has expired is not brought back, and keys that are in no backup are left alone. Doing \
it twice replaces what clients wrote in between, unless --skip-existing keeps it. Keys that could not be written \
are in DIR.rejects.csv with the reason, and how far it has come stands in DIR.progress; with --progress \
x.progress in x.rejects.csv and x.progress, for a backup that lies where nothing can be written.

A node's backup has the keys that it holds. Give the backups of several nodes at once where tables have fewer \
replicas than the cluster has nodes, or where every write that QUORUM had acknowledged matters: of M nodes and Q \
replicas in a quorum, M - Q + 1 have them all.

Examples:
  quorate restore n1/backups/nightly --check
  quorate restore n1/backups/nightly n2/backups/nightly --certs ./certs
  quorate restore nightly --table carts --into carts_of_yesterday
  quorate restore nightly --skip-existing --resume
  quorate restore /mnt/readonly/nightly --progress ./nightly.progress";

pub(super) const SERVE_EXAMPLES: &str = "\
Every setting of the file is also a flag and a variable QUORATE_*; flags win over the environment, the \
environment over the file. SIGTERM drains the node.

Examples:
  quorate serve --config n1.toml
  quorate config check n1.toml";

pub(super) const DEL_EXAMPLES: &str = "\
Examples:
  quorate del carts alice
  quorate del carts alice --consistency ALL
  quorate del locks nightly --if \"worker $$\"
  context=$(quorate get carts alice --output jsonl | jq -r .context)
  quorate del carts alice --context \"$context\"";

pub(super) const CONFIG_EXAMPLES: &str = "\
Examples:
  quorate config check n1.toml
  quorate config print --effective --config n1.toml
  QUORATE_CACHE_BYTES=1GiB quorate config print --config n1.toml --preset large";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  quorate completions bash > ~/.local/share/bash-completion/completions/quorate
  quorate completions zsh > ~/.zfunc/_quorate
  quorate completions fish > ~/.config/fish/completions/quorate.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  quorate man | man -l -
  quorate man admin repair | man -l -
  quorate man --dir /usr/local/share/man/man1";

pub(super) const CERTS_EXAMPLES: &str = "\
Examples:
  quorate certs init certs
  quorate certs node certs n1 --host db1.example.org
  quorate certs client certs client";

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  quorate admin status
  quorate admin status --connect 10.0.0.1:7000 --certs ./certs
  quorate admin status --output json | jq -r '.[0].verdict'
  quorate admin status --check || echo 'see to it'";

pub(super) const NODES_EXAMPLES: &str = "\
The node asked tells what it sees; ask another one to see the cluster with its eyes.

Examples:
  quorate admin nodes
  quorate admin nodes --connect 10.0.0.3:7000";

pub(super) const RING_EXAMPLES: &str = "\
Examples:
  quorate admin ring
  quorate admin ring --output jsonl";

pub(super) const TABLES_EXAMPLES: &str = "\
Examples:
  quorate admin tables
  quorate admin tables --output csv";

pub(super) const HINTS_EXAMPLES: &str = "\
Every node is asked; if one does not answer the others' answers are printed, and the exit code is 2.

Examples:
  quorate admin hints";

pub(super) const REPAIR_EXAMPLES: &str = "\
Examples:
  quorate admin repair
  quorate admin repair --now --table carts
  quorate admin repair --now --range n1,n2,n3 --timeout 10m";

pub(super) const SCRUB_EXAMPLES: &str = "\
Examples:
  quorate admin scrub
  quorate admin scrub --now --timeout 10m";

pub(super) const KEY_EXAMPLES: &str = "\
Examples:
  quorate admin key carts alice
  quorate admin key carts 0x00ff --output jsonl";

pub(super) const BACKUP_EXAMPLES: &str = "\
Examples:
  quorate admin backup nightly --all
  quorate admin backup before-upgrade --node n2 --rate 100MiB
  quorate admin backup nightly --all --no-wait";

pub(super) const DRAIN_EXAMPLES: &str = "\
It takes no requests any more, ends those under way, gives away the hints that it can and ends its process. If that is \
supervised, have the supervisor stop it instead, which does the same.

Examples:
  quorate admin drain n2
  quorate admin drain n2 --timeout 30s --output json | jq -r '.[0].state'";

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  quorate config check n1.toml";

pub(super) const PRINT_EXAMPLES: &str = "\
Examples:
  quorate config print --effective
  quorate config print --effective --config n1.toml
  QUORATE_CACHE_BYTES=1GiB quorate config print --config n1.toml --preset large";

pub(super) const INIT_EXAMPLES: &str = "\
Examples:
  quorate certs init certs";

pub(super) const NODE_EXAMPLES: &str = "\
Examples:
  quorate certs node certs n1
  quorate certs node certs n1 --host db1.example.org --host 10.0.0.1";

pub(super) const CLIENT_EXAMPLES: &str = "\
Examples:
  quorate certs client certs client
  quorate certs client certs reporting";
