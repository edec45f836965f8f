-- Records of one hospital. Times are UTC, money is in cents, dates are ISO 8601.

CREATE TABLE wards (
    ward_id      INTEGER PRIMARY KEY,
    name         TEXT NOT NULL,         -- 'Cardiology', 'Surgery', 'Intensive care', ...
    floor        INTEGER NOT NULL,
    bed_count    INTEGER NOT NULL       -- beds that may be used, taken or free
);

CREATE TABLE staff (
    staff_id     INTEGER PRIMARY KEY,
    ward_id      INTEGER REFERENCES wards (ward_id),    -- NULL: works for the whole house
    full_name    TEXT NOT NULL,
    role         TEXT NOT NULL,         -- 'doctor', 'nurse', 'technician', 'clerk'
    shift        TEXT NOT NULL,         -- 'early', 'late', 'night'
    hired_on     DATE NOT NULL,
    left_on      DATE                   -- NULL while employed
);

CREATE TABLE patients (
    patient_id         INTEGER PRIMARY KEY,
    full_name          TEXT NOT NULL,
    born_on            DATE NOT NULL,
    sex                TEXT NOT NULL,   -- 'f', 'm', 'x'
    phone              TEXT,
    emergency_contact  TEXT             -- name and number in one line
);

-- One row for each thing that a patient must not be given.
CREATE TABLE allergies (
    patient_id   INTEGER NOT NULL REFERENCES patients (patient_id),
    medicine_id  INTEGER NOT NULL REFERENCES medicines (medicine_id),
    severity     TEXT NOT NULL,         -- 'mild', 'moderate', 'severe'
    PRIMARY KEY (patient_id, medicine_id)
);

-- A stay in a bed. A patient who moves to another ward gets a new row.
CREATE TABLE admissions (
    admission_id   INTEGER PRIMARY KEY,
    patient_id     INTEGER NOT NULL REFERENCES patients (patient_id),
    ward_id        INTEGER NOT NULL REFERENCES wards (ward_id),
    doctor_id      INTEGER NOT NULL REFERENCES staff (staff_id),
    reason         TEXT NOT NULL,       -- 'emergency', 'planned', 'transfer'
    admitted_at    TIMESTAMP NOT NULL,
    discharged_at  TIMESTAMP            -- NULL while the patient is in the house
);

CREATE TABLE diagnoses (
    diagnosis_id  INTEGER PRIMARY KEY,
    patient_id    INTEGER NOT NULL REFERENCES patients (patient_id),
    admission_id  INTEGER REFERENCES admissions (admission_id),    -- NULL: found on an appointment
    icd_code      TEXT NOT NULL,        -- 'E11' is type 2 diabetes
    description   TEXT NOT NULL,
    found_on      DATE NOT NULL
);

CREATE TABLE appointments (
    appointment_id  INTEGER PRIMARY KEY,
    patient_id      INTEGER NOT NULL REFERENCES patients (patient_id),
    doctor_id       INTEGER NOT NULL REFERENCES staff (staff_id),
    starts_at       TIMESTAMP NOT NULL,
    minutes         INTEGER NOT NULL,
    status          TEXT NOT NULL,      -- 'booked', 'done', 'missed', 'cancelled'
    cancelled_at    TIMESTAMP
);

CREATE TABLE medicines (
    medicine_id  INTEGER PRIMARY KEY,
    name         TEXT NOT NULL,         -- the substance, in small letters: 'amoxicillin'
    stock        INTEGER NOT NULL       -- packs in the pharmacy now
);

CREATE TABLE prescriptions (
    prescription_id  INTEGER PRIMARY KEY,
    patient_id       INTEGER NOT NULL REFERENCES patients (patient_id),
    doctor_id        INTEGER NOT NULL REFERENCES staff (staff_id),
    medicine_id      INTEGER NOT NULL REFERENCES medicines (medicine_id),
    dose_mg          REAL NOT NULL,     -- for one intake
    intakes_per_day  INTEGER NOT NULL,
    starts_on        DATE NOT NULL,
    ends_on          DATE               -- NULL: until further notice
);

CREATE TABLE lab_tests (
    lab_test_id   INTEGER PRIMARY KEY,
    patient_id    INTEGER NOT NULL REFERENCES patients (patient_id),
    ordered_by    INTEGER NOT NULL REFERENCES staff (staff_id),
    analyte       TEXT NOT NULL,        -- 'glucose', 'sodium', 'troponin', ...
    urgent        BOOLEAN NOT NULL,
    sampled_at    TIMESTAMP NOT NULL,
    resulted_at   TIMESTAMP,            -- NULL while the laboratory works on it
    result        REAL,
    normal_low    REAL,
    normal_high   REAL,
    reviewed_by   INTEGER REFERENCES staff (staff_id)    -- NULL: nobody has looked at it yet
);

CREATE TABLE invoices (
    invoice_id    INTEGER PRIMARY KEY,
    patient_id    INTEGER NOT NULL REFERENCES patients (patient_id),
    admission_id  INTEGER REFERENCES admissions (admission_id),
    amount        INTEGER NOT NULL,     -- in cents
    paid          INTEGER NOT NULL,     -- in cents, never more than amount
    issued_on     DATE NOT NULL,
    due_on        DATE NOT NULL
);
