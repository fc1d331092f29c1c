-- Documents as they were sent out. Amounts, dates and the rest of a document lie in `body`, as
-- JSON text: a column of its own has only what a query needs. Frozen: a store once made by this
-- file is refused by a program in which it reads differently.
CREATE TABLE documents (
    id TEXT NOT NULL PRIMARY KEY,
    series TEXT NOT NULL CHECK (series IN ('invoice', 'credit_memo')),
    customer TEXT NOT NULL,
    invoice_date TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('draft', 'active', 'canceled')),
    number BIGINT,
    body TEXT NOT NULL,
    CHECK ((status = 'draft') = (number IS NULL)),
    UNIQUE (series, number)
);

CREATE INDEX documents_of_customer ON documents (customer, invoice_date);

-- The last number given in each series; a series without a row has given none.
CREATE TABLE number_series (
    series TEXT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
