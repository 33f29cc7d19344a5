-- ------------------------------------------------------------------------ applying a file --

-- A budget that a file has changed is decided by the settings of that file from then on; the rest
-- of its programme follows when all of the file has been applied. Null before a file changed it.
ALTER TABLE budget ADD COLUMN settings_version BIGINT;

-- A file whose changes are being made, one person after the other. Whoever finds one that broke off
-- finishes it.
CREATE TABLE application (
    programme_id   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    application_id TEXT COLLATE "C" NOT NULL,
    version        BIGINT NOT NULL,
    file           TEXT COLLATE "C" NOT NULL,
    begun_at       BIGINT NOT NULL
);
