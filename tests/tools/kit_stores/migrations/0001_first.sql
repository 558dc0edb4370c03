CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); -- ; no end
CREATE TRIGGER loud AFTER INSERT ON notes
BEGIN
  UPDATE notes SET text = upper(new.text) WHERE id = new.id;
END;
