/**
 * What a field that is set, or an extension, leads to. The words are those of verdicts on whole resources.
 * - active: nothing changes for the resource. Of a rule: it has no effect on what Pontoon does, so there is nothing to tell.
 * - warned: the resource runs without it, and its verdict says so.
 * - parked: the resource is well formed but not ours to run.
 * - rejected: ignoring it would change who may connect, what is encrypted or where traffic goes.
 */
export type Treatment = 'active' | 'warned' | 'parked' | 'rejected';

export interface FieldRule {
  readonly field: string;
  readonly treatment: Treatment;
  /** For the operator: what is missing and what that means. */
  readonly reason: string;
  /** The rule is for these values alone (enums by name; wrappers by their value). Otherwise for any value that was set. */
  readonly values?: readonly (string | boolean)[];
}

/** Support of one message: every field of it is either implemented or has a rule; a test compares with the schema. */
export interface MessageSupport {
  readonly message: string;
  /** Where the message stands, when its meaning depends on it. */
  readonly where?: string;
  readonly implemented: readonly string[];
  readonly rules: readonly FieldRule[];
}

export interface ExtensionRule {
  /** Full names of the messages that configure them. */
  readonly types: readonly string[];
  readonly treatment: Treatment;
  readonly reason: string;
}

/** Support of the extensions of one extension point, by the type of their configuration. */
export interface ExtensionSupport {
  readonly point: string;
  /** Envoy's names of the kinds of extensions that stand there, as in `envoy.filters.http`. */
  readonly categories: readonly string[];
  readonly implemented: readonly string[];
  readonly rules: readonly ExtensionRule[];
  /** Of all other types, also those that Envoy's API doesn't know: a mesh's own build of Envoy may. */
  readonly others: { readonly treatment: Treatment; readonly reason: string };
  /** Names in Envoy that stand for no type of their own: older names, and what is chosen in another way. They decide nothing. */
  readonly names?: readonly string[];
}

/** Extensions of which nothing is looked at, because what they stand in has one treatment whatever it holds. */
export interface CategorySupport {
  readonly category: string;
  /** The field or the extension that they stand in, for the reader. */
  readonly inside: string;
  readonly treatment: Treatment;
  readonly reason: string;
  readonly names: readonly string[];
}

export const words = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== '');

export function message(
  name: string,
  implemented: string,
  rules: readonly FieldRule[] = [],
  where?: string,
): MessageSupport {
  return {
    message: name,
    implemented: words(implemented),
    rules,
    ...(where === undefined ? {} : { where }),
  };
}

const rulesFor =
  (treatment: Treatment) =>
  (fields: string, reason = ''): FieldRule[] =>
    words(fields).map((field) => {
      const [name = '', values] = field.split('=');
      const parsed = values?.split('|').map((value) => (value === 'true' ? true : value === 'false' ? false : value));
      return {
        field: name,
        treatment,
        reason,
        ...(parsed === undefined ? {} : { values: parsed }),
      };
    });

/** Rules for a list of fields, `field` or `field=VALUE|VALUE`. */
export const active = rulesFor('active');
export const warned = rulesFor('warned');
export const parked = rulesFor('parked');
export const rejected = rulesFor('rejected');

/** A rule for types of one package, `NAME.v3.Message`, written without what they have in common. */
export function types(treatment: Treatment, prefix: string, names: string, reason: string): ExtensionRule {
  return { treatment, reason, types: words(names).map((name) => `${prefix}.${name}`) };
}

/** A category that stands in a field with a rule for any value. @throws Error when it has none */
export function insideField(category: string, support: MessageSupport, field: string, names: string): CategorySupport {
  const rule = support.rules.find((each) => each.field === field && each.values === undefined);
  if (rule === undefined) throw new Error(`${support.message} has no rule for ${field}`);
  const short = support.message.slice(support.message.search(/[A-Z]/));
  return { category, inside: `${short}.${field}`, ...outcome(rule), names: words(names) };
}

/** A category that stands in the configuration of an extension that is not run. @throws Error when there is no rule for it */
export function insideExtension(
  category: string,
  support: ExtensionSupport,
  type: string,
  names: string,
): CategorySupport {
  const rule = support.rules.find((each) => each.types.includes(type));
  if (rule === undefined) throw new Error(`${support.point} has no rule for ${type}`);
  return { category, inside: type, ...outcome(rule), names: words(names) };
}

const outcome = ({ treatment, reason }: FieldRule | ExtensionRule) => ({ treatment, reason });
