/**
 * What a set field that we don't implement leads to.
 * - silent: it has no effect on what Pontoon does, so there is nothing to tell.
 * - ignored: the resource runs without it, and the verdict warns.
 * - parked: the resource is well formed but not ours to run.
 * - rejected: ignoring it would change who may connect, what is encrypted or where traffic goes.
 */
export type Treatment = 'silent' | 'ignored' | 'parked' | 'rejected';

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

/** Support of the extensions of one extension point, by the type of their configuration. */
export interface ExtensionSupport {
  readonly point: string;
  readonly implemented: readonly string[];
  readonly rules: readonly {
    readonly types: readonly string[];
    readonly treatment: Treatment;
    readonly reason: string;
  }[];
  /** Of all other types, also those that Envoy's API doesn't know: a mesh's own build of Envoy may. */
  readonly others: { readonly treatment: Treatment; readonly reason: string };
}

const words = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== '');

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
export const silent = rulesFor('silent');
export const ignored = rulesFor('ignored');
export const parked = rulesFor('parked');
export const rejected = rulesFor('rejected');
