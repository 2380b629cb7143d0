import type protobuf from 'protobufjs';
import { all, type Check, listOf, type Moment, must, type Rules, rejectUnknown } from './check.js';
import { compileRange } from './scalars.js';

/** What a Duration may hold: https://protobuf.dev/reference/protobuf/google.protobuf/#duration */
const MAX_SECONDS = 315_576_000_000;

/** Whether a Duration is one: its seconds and nanoseconds in range and of one sign. */
export const durationValidity: Check = (value, problems) => {
  const { seconds, nanos } = value as { seconds: string; nanos: number };
  const whole = Number(seconds);
  const mixed = (whole > 0 && nanos < 0) || (whole < 0 && nanos > 0);
  if (Math.abs(whole) > MAX_SECONDS || Math.abs(nanos) > 999_999_999 || mixed) {
    problems.push({ path: '', message: `invalid duration (seconds: ${seconds}, nanos: ${nanos})` });
  }
};

function compareMoments(a: Moment, b: Moment): number {
  return Math.sign(Number(a.seconds ?? 0) - Number(b.seconds ?? 0)) || Math.sign((a.nanos ?? 0) - (b.nanos ?? 0));
}

function showMoment(moment: Moment): string {
  const fraction = (moment.nanos ?? 0) === 0 ? '' : `.${String(moment.nanos).padStart(9, '0')}`.replace(/0+$/, '');
  return `${moment.seconds ?? 0}${fraction}s`;
}

/**
 * The check of a message field: whether it may be absent, the rules of Duration, Timestamp and Any, and `inner`, the
 * check of what the message holds.
 */
export function compileMessageRules(type: protobuf.Type, rules: Rules, inner: Check | undefined): Check | undefined {
  const { message, any, duration, timestamp } = rules;
  const required = [message, any, duration, timestamp].some((part) => part?.required === true);
  const present = all([ownRules(type, rules), inner].filter((check) => check !== undefined));
  if (!required && !present) return undefined;
  return (value, problems) => {
    if (value !== null) present?.(value, problems);
    else if (required) problems.push({ path: '', message: 'required' });
  };
}

function ownRules(type: protobuf.Type, rules: Rules): Check | undefined {
  if (type.fullName === '.google.protobuf.Any' && rules.any) return compileAny(rules.any);
  const moment = rules.duration ?? rules.timestamp;
  if (moment === undefined) return undefined;
  rejectUnknown(type.name.toLowerCase(), moment, ['required', 'const', 'lt', 'lte', 'gt', 'gte', 'in', 'not_in']);
  return compileRange<Moment>(moment, compareMoments, showMoment);
}

function compileAny(rules: NonNullable<Rules['any']>): Check | undefined {
  rejectUnknown('any', rules, ['required', 'in', 'not_in']);
  const checks: Check[] = [];
  const allowed = listOf(rules.in);
  const refused = listOf(rules.not_in);
  if (rules.in !== undefined) {
    checks.push(
      must(
        (any: { type_url: string }) => allowed.includes(any.type_url),
        `its type must be one of ${allowed.join(', ')}`,
      ),
    );
  }
  if (rules.not_in !== undefined) {
    checks.push(
      must(
        (any: { type_url: string }) => !refused.includes(any.type_url),
        `its type must not be ${refused.join(', ')}`,
      ),
    );
  }
  return all(checks);
}
