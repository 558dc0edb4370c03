CREATE TABLE notes (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL, -- at most 1,000 characters; a ; in a comment ends nothing
  author TEXT NOT NULL,
  at TEXT NOT NULL DEFAULT (datetime('now'))
);
