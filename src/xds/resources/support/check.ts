import type { Problem } from '../../../model/verdict.js';
import type { Findings } from '../findings.js';
import { join } from '../findings.js';
import type { ExtensionSupport, FieldRule, MessageSupport, Treatment } from './rules.js';

function unwrapped(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'value' in value ? value.value : value;
}

function isZeroDuration(value: object): boolean {
  return 'seconds' in value && 'nanos' in value && value.seconds === '0' && value.nanos === 0;
}

/** Fields with rules that are maps: `{}` means that they are empty. Of others it means a message without fields, which is there. */
export const mapFields: ReadonlySet<string> = new Set([
  'certificate_provider_instances',
  'dynamic_parameters',
  'named_endpoints',
  'typed_filter_metadata',
  'typed_per_filter_config',
]);

function isSet(field: string, value: unknown): boolean {
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length > 0;
  if (typeof value === 'object' && value !== null)
    return mapFields.has(field) ? Object.keys(value).length > 0 : !isZeroDuration(value);
  return value !== undefined && value !== '' && value !== false && value !== 0 && value !== '0' && value !== null;
}

function applies(rule: FieldRule, value: unknown): boolean {
  if (!isSet(rule.field, value)) return false;
  return rule.values === undefined || rule.values.includes(unwrapped(value) as string | boolean);
}

/** Files a treatment where it belongs. */
export function report(findings: Findings, treatment: Treatment, path: string, reason: string): void {
  const problem = (prefix: string): Problem => ({
    path,
    message: `${prefix}${reason}`,
  });
  if (treatment === 'warned') findings.warnings.push(problem('ignored: '));
  else if (treatment === 'parked') findings.parked.push(problem('not supported: '));
  else if (treatment === 'rejected') findings.unsupported.push(problem('not supported: '));
}

/** Applies a message's rules to its set fields. Empty maps and durations of 0 count as not set. */
export function checkFields(support: MessageSupport, message: object, path: string, findings: Findings): void {
  for (const rule of support.rules) {
    const value = (message as Record<string, unknown>)[rule.field];
    if (!applies(rule, value)) continue;
    const shown = rule.values === undefined ? '' : ` (${String(unwrapped(value))})`;
    report(findings, rule.treatment, join(path, rule.field), `${rule.reason}${shown}`);
  }
}

/** What an extension of this configuration type leads to; undefined: it is implemented. */
export function extensionRule(
  support: ExtensionSupport,
  typeName: string,
): { readonly treatment: Treatment; readonly reason: string } | undefined {
  if (support.implemented.includes(typeName)) return undefined;
  return support.rules.find((rule) => rule.types.includes(typeName)) ?? support.others;
}
