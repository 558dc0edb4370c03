ALTER TABLE notes ADD COLUMN author TEXT DEFAULT 'me; too';
