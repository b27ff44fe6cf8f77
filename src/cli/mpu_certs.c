/*
 * mpu_certs.c: unlearn mpu certs -o DIR. A test authority with certificates for the server and the clients of `serve` and `join`, and its
 * list of those revoked.
 */
#include "cli/work.h"
#include "protocols/net.h"

struct config {
	const char *output, *hosts, *revoke;
	int64_t clients, days;
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"output", UL_OPT_TEXT, AT(output), NULL, 0, 0, NULL, "where the folders server, client-1, client-2, … go", "DIR"},
        {"hosts", UL_OPT_TEXT, AT(hosts), "localhost,127.0.0.1", 0, 0, NULL, "names and addresses the server is called by, by comma", "LIST"},
        {"clients", UL_OPT_INT, AT(clients), "1", 1, 1000, NULL, "how many clients", "N"},
        {"days", UL_OPT_INT, AT(days), "365", 0, 36500, NULL, "how long they are valid; 0 makes expired ones, for tests", "N"},
        {"revoke", UL_OPT_TEXT, AT(revoke), NULL, 0, 0, NULL, "makes nothing new, and adds this party of the folder to its revoked.pem, for serve --revoked", "NAME"},
        {0},
};

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	if (!o->output)
		return ul_work_usage(c, "where to? -o DIR names the folder of the certificates");
	if (o->revoke) {
		if (!ul_net_certs_revoke(o->output, o->revoke, o->days > 0 ? (int)o->days : 1, &c->err))
			return ul_cli_fail(c);
		if (!c->quiet)
			fprintf(stderr, "%s/revoked.pem: %s is revoked\n", o->output, o->revoke);
		return UL_EXIT_DONE;
	}
	ul_net_certs certs = {.hosts = o->hosts, .clients = (int)o->clients, .days = (int)o->days};
	if (!ul_net_certs_make(o->output, &certs, &c->err))
		return ul_cli_fail(c);
	if (!c->quiet)
		fprintf(stderr, "%s: an authority, server and %d client%s; give each party its folder and keep ca.key to yourself\n", o->output, certs.clients, certs.clients == 1 ? "" : "s");
	return UL_EXIT_DONE;
}

const ul_verb ul_mpu_certs = {
        .name = "mpu certs",
        .usage = "-o DIR [--hosts LIST] [--clients N], or -o DIR --revoke NAME",
        .summary = "make a test authority, and certificates for serve and join",
        .opts = opts,
        .config = sizeof(struct config),
        .main = run,
};
