//! What HELP prints.

/// The statements and commands, with examples.
pub(super) const HELP: &str = "\
Statements end with ';', on whichever line; Ctrl-C gives one up. Keys and values are texts in single quotes, 'it''s', or blobs, 0x00ff.

  CREATE TABLE [IF NOT EXISTS] carts (key TEXT PRIMARY KEY, value BLOB)
      [WITH kind = 'siblings' AND replication = 3
       AND read_consistency = 'QUORUM' AND write_consistency = 'QUORUM'];
  ALTER TABLE carts WITH read_consistency = 'ONE';  TRUNCATE carts;  DROP TABLE [IF EXISTS] carts;
  INSERT INTO carts (key, value) VALUES ('alice', '2 apples') USING CONSISTENCY ALL AND TTL 3600;
  UPDATE carts SET value = '3 apples' WHERE key = 'alice' WITH CONTEXT '0a1b..';
  SELECT value FROM carts WHERE key = 'alice';
  SELECT key, value FROM carts WHERE key IN ('alice', 'bob') USING CONSISTENCY ONE;
  SELECT * FROM carts LIMIT 100;  SELECT key FROM carts;         -- all keys, in the order of their tokens
  SELECT value, WRITETIME(value), TTL(value), VERSION(value) FROM carts WHERE key = 'alice';
  DELETE FROM carts WHERE key = 'alice';
  INSERT INTO locks (key, value) VALUES ('job', 'free') IF NOT EXISTS;          -- tables of kind 'cas' only
  UPDATE locks SET value = 'me' WHERE key = 'job' IF value = 'free';  DELETE FROM locks WHERE key = 'job' IF EXISTS;
  COPY carts TO 'carts.csv' WITH header = true;
  COPY carts FROM 'carts.csv' WITH header = true AND delimiter = ';' AND resume = true;
  DESCRIBE TABLES;  DESCRIBE TABLE carts;  DESCRIBE CLUSTER;

After USING, joined by AND:

  CONSISTENCY ONE|TWO|THREE|QUORUM|ALL|ANY|n     how many replicas; ANY for writes only
  W = 2   R = 2                                  the same for a write, a read, as a number
  TTL 3600   TTL '500ms'                         how long an inserted value stays: seconds, or with a unit
  SLOPPY                                         a write that nodes may take for replicas that are down
  MONOTONE                                       a read that never waits for a key that others keep writing

Tables of kind 'siblings' keep concurrent writes side by side: SELECT prints each, and below them the UPDATE
that replaces them all. DELETE and INSERT take WITH CONTEXT '..' too; CONTEXT(value) selects it.
In tables of kind 'register' the latest write wins. In tables of kind 'cas' a write may depend on what the key
holds: a statement with IF answers whether it was applied, and if not, what the key holds instead.

Commands end with their line.

  CONSISTENCY [level|DEFAULT]                    the level of statements that name none; DEFAULT: the table's
  TRACING [ON|OFF]                               print what each replica did for each request, failed or not
  TIMING [ON|OFF]                                print how long each statement took
  EXPAND [ON|OFF]                                print each row by itself, a column a line
  PAGING [ON|n|OFF]                              ask whether to go on when the screen is full, after n rows, never
  WAIT FOR HINTS                                 until no node keeps writes for one that missed them
  WAIT FOR CONVERGENCE [USING TIMEOUT 60]        until all replicas hold what any of them holds now
  SOURCE 'file.cql'                              carry out a file of statements
  HELP   EXIT

QUORUM and ALL are linearizable; ONE is fast, always available, and promises less.";
