import { equalMeaning } from '../../model/equal.js';
import { type FieldChange, fieldChanges } from './field-changes.js';
import { type ConfigView, InspectError, type Kind, kinds, type ViewedResource } from './view.js';

/** What going from one resource to the other would do to what serves. */
export type Effect =
  | 'nothing'
  | 'pipeline rebuilt'
  | 'hosts updated'
  | 'listener replaced'
  | 'routes replaced'
  | 'secret rotated';

export interface ResourceChange {
  readonly kind: Kind;
  readonly name: string;
  readonly change: 'added' | 'removed' | 'changed';
  readonly fields: readonly FieldChange[];
  readonly verdict: { readonly before: string | undefined; readonly after: string | undefined };
  /** Why the verdict afterwards is what it is. */
  readonly reasons: readonly string[];
  readonly effect: Effect;
}

export interface ConfigDiff {
  readonly before: string;
  readonly after: string;
  /** How many resources were compared. */
  readonly compared: number;
  readonly changes: readonly ResourceChange[];
}

const effects: Readonly<Record<Kind, Effect>> = {
  cluster: 'pipeline rebuilt',
  endpoints: 'hosts updated',
  listener: 'listener replaced',
  route: 'routes replaced',
  secret: 'secret rotated',
};

const runs = (resource: ViewedResource | undefined): boolean =>
  resource !== undefined && (resource.verdict === 'active' || resource.verdict === 'warned');

/** What serves of it: a version that was refused leaves the one before. */
const serves = (resource: ViewedResource | undefined): boolean =>
  runs(resource) || (resource?.refused !== undefined && resource.json !== undefined);

function sameMeaning(before: ViewedResource, after: ViewedResource): boolean {
  if (before.model !== undefined && after.model !== undefined) return equalMeaning(before.model, after.model);
  return sameFields(before, after);
}

function sameFields(before: ViewedResource, after: ViewedResource): boolean {
  return fieldChanges(before.json, after.json).length === 0 && !hiddenChange(before, after);
}

/** What is hidden is the same text on both sides: whether it is the same only the bytes tell, if they are known. */
function hiddenChange({ json, bytes }: ViewedResource, after: ViewedResource): boolean {
  if (bytes === undefined || after.bytes === undefined || Buffer.compare(bytes, after.bytes) === 0) return false;
  return JSON.stringify(json)?.includes('[redacted]') === true;
}

function effectOf(before: ViewedResource | undefined, after: ViewedResource | undefined): Effect {
  const { kind } = (after ?? before) as ViewedResource;
  // A version that is refused changes nothing of what runs.
  if (after?.verdict === 'rejected') return 'nothing';
  if (!serves(before) && !runs(after)) return 'nothing';
  if (before && after && serves(before) && runs(after) && sameMeaning(before, after)) return 'nothing';
  return effects[kind];
}

function compare(before: ViewedResource | undefined, after: ViewedResource | undefined): ResourceChange | undefined {
  const { kind, name } = (after ?? before) as ViewedResource;
  const fields = before && after ? [...fieldChanges(before.json, after.json)] : [];
  if (before && after && fields.length === 0 && hiddenChange(before, after))
    fields.push({ path: '(a hidden value)', before: '[redacted]', after: '[redacted]' });
  if (before && after && fields.length === 0 && before.verdict === after.verdict) return undefined;
  return {
    kind,
    name,
    change: before === undefined ? 'added' : after === undefined ? 'removed' : 'changed',
    fields,
    verdict: { before: before?.verdict, after: after?.verdict },
    reasons: after?.reasons ?? [],
    effect: effectOf(before, after),
  };
}

/**
 * What would change if `after` were applied where `before` is. What only one of them goes into is not compared: a response of clusters says
 * nothing about listeners.
 *
 * @throws InspectError when there is nothing that both go into
 */
export function diffViews(before: ConfigView, after: ConfigView): ConfigDiff {
  const byOrigin = common(before, after, ({ kind, origin, name }) => JSON.stringify([kind, origin, name]), true);
  // A bootstrap beside a response: what is static here may be dynamic there.
  const pairs =
    byOrigin.length > 0 ? byOrigin : common(before, after, ({ kind, name }) => JSON.stringify([kind, name]), false);
  if (pairs.length === 0 && before.resources.length + after.resources.length > 0)
    throw new InspectError(`${before.source} and ${after.source} have no type of resource in common`);
  const changes = pairs.flatMap(([one, other]) => compare(one, other) ?? []);
  const order = ({ kind, name }: ResourceChange) => `${kinds.indexOf(kind)} ${name}`;
  return {
    before: before.source,
    after: after.source,
    compared: pairs.length,
    changes: changes.sort((a, b) => (order(a) < order(b) ? -1 : 1)),
  };
}

type Pair = readonly [ViewedResource | undefined, ViewedResource | undefined];

function common(
  before: ConfigView,
  after: ConfigView,
  keyOf: (resource: ViewedResource) => string,
  strict: boolean,
): Pair[] {
  const covers = (view: ConfigView, { kind, origin }: ViewedResource) =>
    strict ? view.covers(kind, origin) : view.covers(kind, 'static') || view.covers(kind, 'dynamic');
  const afterByKey = new Map(after.resources.map((resource) => [keyOf(resource), resource]));
  const pairs: Pair[] = [];
  const seen = new Set<string>();
  for (const resource of before.resources) {
    const key = keyOf(resource);
    seen.add(key);
    const other = afterByKey.get(key);
    if (other || covers(after, resource)) pairs.push([resource, other]);
  }
  for (const resource of after.resources)
    if (!seen.has(keyOf(resource)) && covers(before, resource)) pairs.push([undefined, resource]);
  return pairs;
}
