//! What HELP prints.

/// The statements and commands, with examples.
pub(super) const HELP: &str = "\
Statements end with ';'. Keys and values are texts in single quotes, 'it''s', or blobs, 0x00ff.

  CREATE TABLE [IF NOT EXISTS] carts (key TEXT PRIMARY KEY, value BLOB)
      WITH kind = 'register' AND replication = 3;
  INSERT INTO carts (key, value) VALUES ('alice', '2 apples') USING CONSISTENCY ALL;
  SELECT value FROM carts WHERE key = 'alice';
  SELECT key, value FROM carts WHERE key IN ('alice', 'bob') USING CONSISTENCY ONE;
  DELETE FROM carts WHERE key = 'alice';
  COPY carts FROM 'carts.csv' WITH header = true AND delimiter = ';';
  DESCRIBE TABLES;  DESCRIBE TABLE carts;  DESCRIBE CLUSTER;

Commands end with their line.

  CONSISTENCY [ONE|TWO|THREE|QUORUM|ALL|ANY|n]   the level of statements that name none
  TRACING [ON|OFF]                               print the receipt of each request
  SOURCE 'file.cql'                              carry out a file of statements
  HELP   EXIT

QUORUM and ALL are linearizable; ONE is fast, always available, and promises less.";
