CREATE TABLE quotes (text TEXT NOT NULL, author TEXT NOT NULL);
INSERT INTO quotes VALUES ('Simple is better than complex.', 'Tim Peters');
