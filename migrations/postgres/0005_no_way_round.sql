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

-- ------------------------------------------------------------------------------ sealed secrets --

-- Secrets are sealed with a key that the database does not hold. What is here from before is sealed
-- when a gateway starts, or a programme's file is applied. Programs from before know no column of
-- this name: they go on with the secrets that they have read, and do not take what is sealed for one.
ALTER TABLE connection_secret RENAME COLUMN secret TO sealed;
ALTER TABLE token_key RENAME COLUMN private_pem TO sealed;

-- The key that all of them are sealed with, by its fingerprint: so two gateways never seal with two
-- keys. `remains` says whether the files of the database may still hold what was there before.
CREATE TABLE sealing_key (
    place   TEXT COLLATE "C" PRIMARY KEY CHECK (place = 'in use'),
    key_id  TEXT COLLATE "C" NOT NULL,
    remains TEXT COLLATE "C" NOT NULL CHECK (remains IN ('some', 'none'))
);
