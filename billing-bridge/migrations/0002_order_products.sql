-- The order products of all runs that were saved, each as the canonical text it had when it was
-- saved first. An activated order product never changes; a run in which one does is refused by
-- it. Frozen: a store once made by this file is refused by a program in which it reads differently.
CREATE TABLE order_products (
    id TEXT NOT NULL PRIMARY KEY,
    content TEXT NOT NULL
);
