/**
 * Bad input to `tk.tenants`.
 *
 * @module
 */
import { as, CANARY, type Row } from './row.ts'
import {
  BAD_ACTORS,
  BAD_IDS,
  type Call,
  NO_OBJECTS,
  pages,
  row,
  rows,
  SOME_BAD_IDS,
  unknownFields,
} from './values.ts'

const create: Call = (tk, input) => tk.tenants.create(as(input))
const listTenants: Call = (tk, input) => tk.tenants.list(as(input))
export const tenantRows: readonly Row[] = [
  ...rows('tenants.create', 'id', BAD_IDS, (tk, id) => tk.tenants.create({ id: as(id) })),
  ...rows('tenants.create', '(argument)', { missing: undefined, ...NO_OBJECTS }, create),
  ...rows(
    'tenants.create',
    'parentId',
    { empty: '', 'a number': 7, 'a path': `a/${CANARY}` },
    (tk, parentId) => tk.tenants.create({ id: 'new', parentId: as(parentId) }),
  ),
  ...rows(
    'tenants.create',
    'credentials',
    { 'another word': CANARY, null: null, 'a list': ['tenant'] },
    (tk, credentials) => tk.tenants.create({ id: 'new', credentials: as(credentials) }),
  ),
  ...rows('tenants.create', 'actor', BAD_ACTORS, (tk, actor) =>
    tk.tenants.create({ id: 'new', actor: as(actor) }),
  ),
  ...unknownFields('tenants.create', { id: 'new' }, create),
  {
    method: 'tenants.create',
    what: 'an id that is taken',
    run: ({ tk }) => tk.tenants.create({ id: 'acme' }),
    code: 'TK_TENANT_EXISTS',
    field: null,
  },
  {
    method: 'tenants.create',
    what: 'a parent that is not there',
    run: ({ tk }) => tk.tenants.create({ id: 'new', parentId: 'nobody' }),
    code: 'TK_TENANT_NOT_FOUND',
    field: null,
  },
  {
    method: 'tenants.create',
    what: 'itself as parent',
    run: ({ tk }) => tk.tenants.create({ id: 'new', parentId: 'new' }),
    code: 'TK_TENANT_NOT_FOUND',
    field: null,
  },
  row('tenants.create', 'a field that throws when it is read', '(argument)', ({ tk }) =>
    tk.tenants.create({
      get id(): string {
        throw new Error(CANARY)
      },
    }),
  ),
  ...rows('tenants.get', 'tenantId', SOME_BAD_IDS, (tk, id) => tk.tenants.get(as(id))),
  ...rows('tenants.list', '(argument)', NO_OBJECTS, listTenants),
  ...rows('tenants.list', 'parentId', { empty: '', 'a path': `a/${CANARY}` }, (tk, parentId) =>
    tk.tenants.list({ parentId: as(parentId) }),
  ),
  ...pages('tenants.list', {}, listTenants),
  ...unknownFields('tenants.list', { limit: 1 }, listTenants),
]
