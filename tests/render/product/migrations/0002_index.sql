CREATE INDEX notes_by_time ON notes (at);
CREATE TRIGGER no_blanks BEFORE INSERT ON notes WHEN trim(new.text) = ''
BEGIN
  SELECT RAISE(ABORT, 'a note needs text');
END;
