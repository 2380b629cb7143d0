export { type ParsedJson, parseJson } from './parse-json.js';
export { type JsonForm, toJson } from './to-json.js';
