CREATE TABLE quotes (t TEXT);
