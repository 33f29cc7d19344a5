-- ------------------------------------------------------------------------ applying a file --

-- A budget that a file has changed is decided by the settings of that file from then on; the rest
-- of its programme follows when all of the file has been applied. Null before a file changed it.
ALTER TABLE budget ADD COLUMN settings_version INTEGER;

-- A file whose changes are being made, one person after the other. Whoever finds one that broke off
-- finishes it.
CREATE TABLE application (
    programme_id   TEXT    NOT NULL PRIMARY KEY,
    application_id TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    file           TEXT    NOT NULL,
    begun_at       INTEGER NOT NULL
) STRICT;
