import type { ScopeView, Stats, StatsRegistry } from './create-store.js';
import type { StatKind } from './group.js';
import { sortInSteps } from './sort-in-steps.js';

export interface Named<K extends StatKind> {
  readonly name: string;
  readonly stat: Stats[K];
}

export interface StatsQuery {
  readonly wanted: (name: string) => boolean;
  /** What the names that are wanted begin with, as far as that is known. */
  readonly prefix: string;
  /** Statistics that were never touched may be left out; zeros may still come. */
  readonly usedOnly: boolean;
}

/** Names of one scope stand together, unless another scope's, or one at the root, begins with its prefix. */
interface Unit {
  readonly key: string;
  readonly scopes: ScopeView[];
}

/**
 * All statistics of some kinds by name, a scope at a time: there may be a million, of which never more than one scope's are in hand. Each
 * scope is read at one moment. Yields nothing now and then, for whoever lets others have their turn.
 */
export function* statsInOrder<K extends StatKind>(
  registry: StatsRegistry,
  kinds: readonly K[],
  query: StatsQuery,
): Generator<readonly Named<K>[]> {
  const { prefix } = query;
  const units: Unit[] = [];
  let root: ScopeView | undefined;
  for (const scope of registry.scopes()) {
    yield [];
    const key = `${scope.prefix}.`;
    if (scope.prefix === '') root = scope;
    else if (key.startsWith(prefix) || prefix.startsWith(key)) units.push({ key, scopes: [scope] });
  }
  const sorted = yield* inSteps(sortInSteps(units, ({ key }) => key));
  const ofRoot = root ? read(root, kinds, query) : [];
  let next = 0;
  for (let i = 0; i < sorted.length; ) {
    const { key, scopes } = sorted[i++] as Unit;
    for (; sorted[i]?.key.startsWith(key); i++) scopes.push(...(sorted[i] as Unit).scopes);
    const before = next;
    while ((ofRoot[next]?.name ?? key) < key) next++;
    if (next > before) yield ofRoot.slice(before, next);
    const inside = next;
    while (ofRoot[next]?.name.startsWith(key)) next++;
    const found = scopes.flatMap((scope) => read(scope, kinds, query));
    yield scopes.length === 1 && next === inside ? found : byName([...found, ...ofRoot.slice(inside, next)]);
  }
  yield ofRoot.slice(next);
}

/** The same steps, each as a piece with nothing in it. */
export function* inSteps<T>(steps: Generator<undefined, T>): Generator<readonly never[], T> {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    yield [];
  }
}

function read<K extends StatKind>(scope: ScopeView, kinds: readonly K[], { wanted, usedOnly }: StatsQuery): Named<K>[] {
  const found: Named<K>[] = [];
  for (const kind of kinds) {
    for (const stat of scope.stats(kind, !usedOnly)) {
      const { name } = stat;
      if (wanted(name)) found.push({ name, stat });
    }
  }
  return byName(found);
}

const byName = <T extends { readonly name: string }>(stats: T[]): T[] =>
  stats.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
