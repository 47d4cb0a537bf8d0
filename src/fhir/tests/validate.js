// Validates FHIR resources, one a line on stdin, against R4's definitions with npm's "fhir" (found through NODE_PATH). Prints each
// complaint; exit status 1 when there is any.
'use strict';
const { Fhir } = require('fhir');

// The package has no value sets of SNOMED CT, RadLex, LOINC, DICOM or HL7 v2, and says so of each code.
const ours = (message) => message.severity === 'error' || !/value set/i.test(message.message);
let complaints = 0;
const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean);
for (const line of lines) {
    const resource = JSON.parse(line);
    const { messages } = new Fhir().validate(resource, { errorOnUnexpected: true });
    for (const message of messages.filter(ours)) {
        console.log(`${resource.resourceType}: ${message.severity} ${message.location}: ${message.message}`);
        complaints++;
    }
}
console.log(`${lines.length} resources, ${complaints} complaints`);
process.exit(complaints > 0 || lines.length === 0 ? 1 : 0);
