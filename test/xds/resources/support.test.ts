import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { newFindings } from '../../../src/xds/resources/findings.js';
import { checkFields, mapFields } from '../../../src/xds/resources/support/check.js';
import { type SupportSection, supportCategories, supportSections } from '../../../src/xds/resources/support/index.js';
import type { CategorySupport } from '../../../src/xds/resources/support/rules.js';
import { schema } from './translators.js';

const root = new URL('../../../../', import.meta.url);
const messages = supportSections.flatMap((section) => section.messages);
const extensions = supportSections.flatMap((section) => section.extensions);

describe('xds/resources support', () => {
  for (const support of messages) {
    const title = `${support.message} ${support.where ?? ''}`;

    it(`says of every field of ${title} what it leads to`, () => {
      const fields = schema.type(support.message).fieldsArray.map((field) => field.name);
      const named = new Set([...support.implemented, ...support.rules.map((rule) => rule.field)]);
      expect([...named].sort()).to.deep.equal([...fields].sort());
      const always = support.rules.filter((rule) => rule.values === undefined).map((rule) => rule.field);
      expect(always.filter((field) => support.implemented.includes(field))).to.deep.equal([]);
    });

    it(`finds nothing in an empty ${title}`, () => {
      const findings = newFindings();
      checkFields(support, schema.decode<object>(support.message, Buffer.alloc(0)), '', findings);
      expect(findings).to.deep.equal(newFindings());
    });
  }

  it('files every rule by its treatment, with the path of its field', () => {
    for (const { rules, ...rest } of messages)
      for (const rule of rules) {
        const findings = newFindings();
        const value = rule.values === undefined ? [1] : { value: rule.values[0] };
        checkFields({ ...rest, rules: [rule] }, { [rule.field]: value }, 'a', findings);
        const filed = {
          warned: findings.warnings,
          parked: findings.parked,
          rejected: findings.unsupported,
          active: [{ path: `a.${rule.field}` }],
        }[rule.treatment];
        expect(filed.map((problem) => problem.path)).to.deep.equal([`a.${rule.field}`]);
      }
  });

  it('knows which fields are maps', () => {
    const maps = messages.flatMap(({ message, rules }) =>
      rules.filter(({ field }) => schema.type(message).fields[field]?.map).map(({ field }) => field),
    );
    expect(new Set(maps)).to.deep.equal(mapFields);
  });

  it('has a reason for everything that is not simply active', () => {
    for (const { message, rules } of messages)
      for (const { field, reason } of rules) expect(reason, `${message}.${field}`).to.not.equal('');
    for (const { point, rules, others } of extensions)
      for (const { reason } of [...rules, others]) expect(reason, point).to.not.equal('');
    for (const { category, reason } of supportCategories) expect(reason, category).to.not.equal('');
  });

  it('names values that the schema knows', () => {
    for (const { message, rules } of messages)
      for (const { field, values } of rules) {
        const type = schema.type(message).fields[field]?.resolve().resolvedType;
        for (const value of values ?? [])
          if (typeof value === 'string') expect(type).to.have.nested.property(`values.${value}`);
      }
  });

  it('is what docs/support.md says (else run: node .build/support.mjs)', async () => {
    const generator = (await import(new URL('.build/support.mjs', root).href)) as {
      supportMarkdown(sections: readonly SupportSection[], categories: readonly CategorySupport[]): string;
    };
    const markdown = generator.supportMarkdown(supportSections, supportCategories);
    expect(readFileSync(new URL('docs/support.md', root), 'utf8')).to.equal(markdown);
  });
});
