/*
 * test_report.c: the page says what the folders say, escapes all of it, and holds whatever a broken or half-finished folder gives it.
 * The folders in tests/golden/report are made up by the script beside them.
 */
#include "test.h"

#include "report/parts.h"
#include "report/report.h"

#define HOME "tests/golden/report/"

static char *page(const char *const *dirs, int n)
{
	ul_err err = {0};
	ul_buf b = {0};
	NEED_OK(ul_report_write(dirs, n, false, test_path("r.html"), &err), err);
	NEED_OK(ul_file_read(&b, test_path("r.html"), 1 << 24, &err), err);
	return b.data;
}

static void test_report__says_the_verdict_first(void)
{
	char *html = page((const char *const[]){HOME "audit-npo"}, 1);
	const char *verdict = strstr(html, "Not decided"), *numbers = strstr(html, "The numbers");
	CHECK(verdict && numbers && verdict < numbers);
	CHECK_HAS(html, "To forget 260 entries about 20 people");
	CHECK_HAS(html, "160 steps"); /* of the run that the audit names */
	CHECK_HAS(html, "20 people were asked about, about 60 would decide it");
	CHECK_HAS(html, "not tried below level heavy");
	CHECK_HAS(html, "<svg");
	CHECK(!strstr(html, "<script") && !strstr(html, "http://") && !strstr(html, "https://"));
	CHECK(!strstr(html, "deleted"));
	ul_free(html);
}

static void test_report__puts_requests_side_by_side(void)
{
	char *html = page((const char *const[]){HOME "audit-npo", HOME "audit-free"}, 2);
	CHECK_HAS(html, "Not decided");
	CHECK_HAS(html, "The model still knows some of it");
	CHECK_HAS(html, "without having the data");
	CHECK_HAS(html, "class=many");
	ul_free(html);
}

static void test_report__escapes_everything(void)
{
	char *html = page((const char *const[]){HOME "audit-npo"}, 1);
	CHECK_HAS(html, "Nora &lt;b&gt;Horvat&lt;/b&gt;");
	CHECK_HAS(html, "x86-64 &lt;test&gt;");
	ul_free(html);
	NEED_OK(ul_mkdirs(test_path("x"), &(ul_err){0}), (ul_err){0});
	test_file("x/scores.json", "{\"mode\":\"<i>\",\"verdict\":\"<script>alert(1)</script>\",\"audits\":{\"<b>\":{\"value\":1,\"verdict\":\"\\\"><script>\"}},"
	                           "\"examples\":[{\"prompt\":\"<script>\",\"after\":\"'&\"}]}");
	html = page((const char *const[]){test_path("x")}, 1);
	CHECK(!strstr(html, "<script") && !strstr(html, "<i>\"") && !strstr(html, "<b><"));
	CHECK_HAS(html, "&#39;&amp;");
	ul_free(html);
}

static void test_report__holds_what_is_missing_or_strange(void)
{
	ul_err err = {0};
	NEED_OK(ul_mkdirs(test_path("bare"), &err), err);
	test_file("bare/run.json", "{}");
	test_file("bare/journal.jsonl", "{\"step\":0,\"loss\":1}\n{\"step\":1,\"loss\":null}\n{\"step\":2,\"lo");
	char *html = page((const char *const[]){test_path("bare")}, 1);
	CHECK_HAS(html, "Not audited");
	ul_free(html);
	NEED_OK(ul_mkdirs(test_path("odd"), &err), err);
	test_file("odd/scores.json", "{\"verdict\":\"PASS\",\"mode\":7,\"model\":[],\"audits\":{\"forget_prob\":{\"value\":\"no\",\"ci\":{},\"margin\":-1,\"n\":1e300},"
	                             "\"err\":{\"value\":1e308,\"before\":-1e308,\"reference\":0,\"margin\":1e-300,\"ci\":[0],\"verdict\":\"UNDER\"},\"e_hit\":[]},\"examples\":{}}");
	html = page((const char *const[]){test_path("odd")}, 1);
	CHECK(!strstr(html, "nan") && !strstr(html, "inf\""));
	ul_free(html);
}

/* A run that made its own rows: what it told (covered, with its marks), what it could read, what it did not reach. */
static void test_report__shows_what_the_model_told(void)
{
	ul_err err = {0};
	NEED_OK(ul_mkdirs(test_path("free"), &err), err);
	test_file("free/run.json", "{\"source\":{\"name\":\"sample\",\"summary\":{\"types\":{\"EMAIL\":7}}},\"unmet\":\"the run left its <bounds>\","
	                           "\"data_free\":{\"files_confined\":true,\"network_shut\":true,\"files_read\":[{\"path\":\"a\"},{\"path\":\"b\"}]},"
	                           "\"told\":{\"rows\":40,\"shown\":[{\"prompt\":\"The <\",\"text\":\"\u00b7\u00b7 at \u2588\u2588 now\",\"spans\":[{\"start\":6,\"end\":8,\"type\":\"EMAIL\"}]},"
	                           "{\"text\":\"x\",\"spans\":[{\"start\":-1,\"end\":4},{\"start\":0,\"end\":9},{},7]},{\"text\":7},3]}}");
	char *html = page((const char *const[]){test_path("free")}, 1);
	CHECK_HAS(html, "What the model told, to be forgotten");
	CHECK_HAS(html, "40 rows were made by the source <b>sample</b>, in which are marked: EMAIL 7.");
	CHECK_HAS(html, "<i>The &lt;</i> ·· at <mark>██</mark><sup>EMAIL</sup> now");
	CHECK_HAS(html, "They are redacted");
	CHECK_HAS(html, "The 2 files listed below and no others, and no network.");
	CHECK_HAS(html, "<dt>What was not reached</dt><dd>the run left its &lt;bounds&gt;</dd>");
	CHECK_HAS(html, "<div class=told>x</div>"); /* marks outside the text are none */
	ul_free(html);
	const char *dirs[] = {test_path("free")};
	CHECK_FAILS(ul_report_write(dirs, 1, true, test_path("plain.html"), &err), err, "only a run with --keep-data leaves them");
	err = (ul_err){0};
	test_file("free/forget.jsonl", "{\"text\":\"Ada at ada@example.org\",\"spans\":[{\"start\":7,\"end\":22,\"type\":\"EMAIL\"}]}\n");
	html = page(dirs, 1);
	CHECK(!strstr(html, "ada@")); /* kept, and still not shown */
	ul_free(html);
	ul_buf b = {0};
	NEED_OK(ul_report_write(dirs, 1, true, test_path("plain.html"), &err) && ul_file_read(&b, test_path("plain.html"), 1 << 24, &err), err);
	CHECK_HAS(b.data, "Ada at <mark>ada@example.org</mark><sup>EMAIL</sup>");
	CHECK_HAS(b.data, "treat this page as you treat that");
	ul_buf_release(&b);
}

/* A run that reveals and releases: relevance and λ of each iteration, also where one was not judged. */
static void test_report__shows_the_iterations(void)
{
	ul_err err = {0};
	NEED_OK(ul_mkdirs(test_path("rounds"), &err), err);
	test_file("rounds/run.json", "{\"method\":\"release\"}");
	test_file("rounds/journal.jsonl", "{\"step\":1,\"loss\":2}\n{\"step\":2,\"loss\":1}\n{\"iteration\":1,\"lambda\":0.5,\"relevance\":0.8,\"utility_nll\":1.01,\"rows\":40}\n"
	                                  "{\"iteration\":2,\"lambda\":0,\"relevance\":0.25,\"utility_nll\":1.01,\"rows\":30}\n{\"kept_iterations\":1,\"begun_nll\":1,\"relevance\":null}\n");
	char *html = page((const char *const[]){test_path("rounds")}, 1);
	CHECK_HAS(html, "Iteration by iteration");
	CHECK_HAS(html, "The result holds 1 of them");
	CHECK_HAS(html, "<tr><td>1</td><td>0.8</td><td>0.25</td><td>0.5</td><td>+1.0\u202f%</td><td>40</td></tr>");
	CHECK_HAS(html, "<tr><td>2</td><td>0.25</td><td>–</td><td>0</td>");
	CHECK_HAS(html, "aria-label=\"relevance after each iteration\"");
	CHECK_HAS(html, "aria-label=\"training curve\"");
	CHECK(!strstr(html, "nan"));
	ul_free(html);
	test_file("rounds/journal.jsonl", "{\"iteration\":1,\"lambda\":\"x\",\"relevance\":1e308}\n{\"iteration\":[]}\n{\"kept_iterations\":-3}\n");
	html = page((const char *const[]){test_path("rounds")}, 1);
	CHECK(!strstr(html, "nan"));
	const char *inf = strstr(html, "inf");
	CHECK_MSG(!inf, "%.60s", inf ? inf : "");
	ul_free(html);
}

static void test_report__refuses_what_is_no_folder_of_ours(void)
{
	ul_err err = {0};
	const char *none[] = {test_path("nowhere")}, *empty[] = {test_tmp()};
	CHECK_FAILS(ul_report_write(none, 1, false, test_path("r.html"), &err), err, "is not a folder");
	err = (ul_err){0};
	CHECK_FAILS(ul_report_write(empty, 1, false, test_path("r.html"), &err), err, "neither run.json nor scores.json");
	CHECK(!ul_file_exists(test_path("r.html")));
}

static void test_report__says_numbers_as_people_do(void)
{
	static const struct {
		enum ul_unit unit;
		double x;
		const char *said;
	} cases[] = {{UL_U_SHARE, 0.978, "98\u202f%"}, {UL_U_SHARE, 0.0123, "1.2\u202f%"}, {UL_U_SHARE, 0, "0\u202f%"}, {UL_U_BITS, 13.29, "13.3\u202fbits"},
	        {UL_U_POINTS, -99.8, "−100"}, {UL_U_PLAIN, 3.214, "3.21"}, {UL_U_PLAIN, 1e-9, "1.0e-09"}, {UL_U_PLAIN, NAN, "–"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ul_buf b = {0};
		ul_say_value(&b, cases[i].unit, cases[i].x);
		CHECK_STR(b.data, cases[i].said);
		ul_buf_release(&b);
	}
}
