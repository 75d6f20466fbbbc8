-- Version 3: the exit code of what an operation failed with, as core/errors.py has it; 0: it has not failed.

ALTER TABLE operations ADD COLUMN code INTEGER NOT NULL DEFAULT 0;
