/**
 * How our tables, functions and roles are called in one installation: in a schema and with a prefix
 * of the host's choice, quoted and qualified. No statement of ours relies on a search_path.
 *
 * @module
 */

/** `single`: the host's one role owns everything and is bound by no policy. */
export type PostgresRoles = { readonly owner: string; readonly app: string } | 'single'

export interface NamesOptions {
  /** Default `tenantkeys`; 1 to 40 of `A-Z a-z 0-9 _`. */
  readonly schema: string
  /** Put before every table and function; at most 16 of the same. */
  readonly tablePrefix: string
  readonly roles: PostgresRoles
}

/** The session setting that names the tenants of a transaction, separated by commas. */
export const TENANT_SETTING = 'tenantkeys.tenant_id'

export class Names {
  readonly schemaName: string
  readonly prefix: string
  readonly roles: PostgresRoles

  constructor({ schema, tablePrefix, roles }: NamesOptions) {
    this.schemaName = schema
    this.prefix = tablePrefix
    this.roles = roles
  }

  /** Quoted. */
  get schema(): string {
    return identifier(this.schemaName)
  }

  /** Quoted and qualified. */
  table(name: string): string {
    return `${this.schema}.${identifier(this.prefix + name)}`
  }

  /** Quoted and qualified, without arguments. */
  fn(name: string): string {
    return this.table(name)
  }

  /** For what PostgreSQL puts into the schema of its table by itself, such as indexes: quoted. */
  index(name: string): string {
    return identifier(this.prefix + name)
  }

  /** The channel on which a raised epoch is announced: at most 60 letters, unquoted. */
  get channel(): string {
    return `tk:${this.schemaName}:${this.prefix}`
  }

  /** Quoted; `null` with a single role. */
  get owner(): string | null {
    return this.roles === 'single' ? null : identifier(this.roles.owner)
  }

  /** Quoted; `null` with a single role. */
  get app(): string | null {
    return this.roles === 'single' ? null : identifier(this.roles.app)
  }
}

export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`

export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
