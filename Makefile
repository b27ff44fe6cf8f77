# unlearn.c: make            builds build/unlearn and build/libunlearn.a; V=1 shows the commands
#            make test       everything, "N passed, N failed, N skipped" at the end; ONLY=part-of-a-name, SAN=1, STRICT=1, LONG=1|2
#            make demo       a small world, two requests, one report; MODEL=smollm2 or MODEL=path: the same with a real model
#            make docs       the pages and tables that the program writes about itself
#            make check      layers, format, static analysis, commands in documents
#            make reproduce-mpu  what the noise of MPU costs, eight algorithms (an hour; SHORT=1: seconds, for CI)
#            make phenomena  what the literature says must happen on a synthetic world, measured (minutes)
#            make reproduce-dfsu   data-free unlearning by inversion and its ablations, one table (an hour; SHORT=1: a minute, for CI)
#            make reproduce-by-name   forgetting by a list of names and its controls, one table (minutes; SHORT=1: less than one, for CI)
#            make reproduce-reveal   Reveal and Release on four tasks of small models, three seeds; TASK="skills style ner domain", MODEL=path for a real one, SHORT=1 for CI
#            make fuzz       every parser under libFuzzer, TIME=10 seconds each
#            make bench      how fast, beside PyTorch on the same work (minutes; THREADS=1 ROUNDS=3 MODEL=path)
#            make interop    exports opened by transformers, peft and llama.cpp
#            make install    PREFIX=/usr/local; make uninstall
.SUFFIXES:
.DELETE_ON_ERROR:
, := ,
B       := build$(if $(SAN),/san)
CC      ?= gcc
PKG     := jansson libutf8proc libcrypto zlib
# Their pkg-config files ask for a Fortran library when linked statically; the shared BLAS brings what it needs.
MATH    := $(shell pkg-config --libs lapacke openblas 2>/dev/null || echo -llapacke -lopenblas)
OPT     ?= -O2
Q       := $(if $(V),,@)
WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter -Wno-missing-field-initializers
SANFLAG := $(if $(SAN),-fsanitize=address$(,)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
NETPKG  := libmicrohttpd gnutls libcurl sqlite3
DEPINC  := $(shell pkg-config --cflags $(PKG) $(NETPKG) 2>/dev/null) $(shell pkg-config --cflags lapacke openblas 2>/dev/null)
DEPLIB  := $(shell pkg-config --libs $(PKG) 2>/dev/null) $(MATH) -lm
NETLIB  := $(shell pkg-config --libs $(NETPKG) 2>/dev/null) -lpthread
INCLUDE := -Iinclude -Isrc -I$(B)/gen
CFLAGS  += -std=c17 -D_GNU_SOURCE $(OPT) -g -fopenmp -fno-math-errno -fPIC $(SANFLAG) $(WARN) $(INCLUDE) $(DEPINC)
LDLIBS  += $(DEPLIB) -fopenmp

# What talks over the network belongs to the program: libunlearn asks for no network library and no database.
NET_SRC := $(sort $(wildcard src/protocols/net_*.c))
LIB_SRC := $(sort $(filter-out src/cli/% $(NET_SRC),$(wildcard src/*/*.c src/*/*/*.c)))
CLI_SRC := $(sort $(wildcard src/cli/*.c))
LIB_OBJ := $(LIB_SRC:src/%.c=$(B)/obj/%.o) $(B)/obj/gen/registry.o
NET_OBJ := $(NET_SRC:src/%.c=$(B)/obj/%.o)
CLI_OBJ := $(CLI_SRC:src/%.c=$(B)/obj/%.o) $(B)/obj/gen/verbs.o

all: $(B)/unlearn
$(B)/unlearn: $(CLI_OBJ) $(B)/net.a $(B)/libunlearn.a
	@echo "  link  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(CLI_OBJ) $(B)/net.a $(B)/libunlearn.a $(NETLIB) $(LDLIBS)
$(B)/net.a: $(NET_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $(NET_OBJ)
$(B)/libunlearn.a: $(LIB_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $(LIB_OBJ)
$(B)/obj/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	@echo "  cc    $<"
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
# Vectors wider than the registers have no calling convention to keep; nobody outside that file sees them.
$(B)/obj/tensor/cpu/kern_avx512_emulated.o: WARN += -Wno-psabi

# The registry of plug-ins is generated from the files themselves: there is no second list.
PLUGINS := $(wildcard src/methods/*.c src/sources/*.c src/scorers/*.c src/recipes/*.c src/audits/*.c src/model/arch/*.c)
$(B)/gen/registry.c: tools/registry $(PLUGINS)
	@mkdir -p $(@D)
	tools/registry lib > $@.tmp && mv $@.tmp $@
$(B)/gen/verbs.c: tools/registry $(CLI_SRC)
	@mkdir -p $(@D)
	tools/registry cli > $@.tmp && mv $@.tmp $@
$(B)/obj/gen/%.o: $(B)/gen/%.c
	@mkdir -p $(@D)
	@echo "  cc    $<"
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# ---- tests: a program per file, its runner generated from the names of its functions ----

TEST_SRC  := $(sort $(wildcard $(foreach d,unit grad model method audit,tests/$(d)/test_*.c)))
TEST_BIN  := $(TEST_SRC:tests/%.c=$(B)/test/%)
FUZZ_SRC  := $(sort $(filter-out tests/fuzz/fuzz.c,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_BIN  := $(FUZZ_SRC:tests/%.c=$(B)/test/%)
TESTFLAGS := $(CFLAGS) -I. -Itests
ONLY      ?=

$(B)/test/%.run.c: tests/%.c tools/tests
	@mkdir -p $(@D)
	@tools/tests gen $< > $@
$(B)/test/test.o: tests/test.c tests/test.h src/base/base.h Makefile
	@mkdir -p $(@D)
	@echo "  cc    $<"
	$(Q)$(CC) $(TESTFLAGS) -MMD -MP -c -o $@ $<
$(B)/test/unit/test_net $(B)/test/unit/test_net_hostile $(B)/test/unit/test_net_line $(B)/test/unit/test_net_slow $(B)/test/unit/test_net_trouble $(B)/test/unit/test_net_who: LDLIBS := $(NETLIB) $(LDLIBS)
$(TEST_BIN): $(B)/test/%: $(B)/test/%.run.c tests/%.c $(B)/test/test.o $(B)/net.a $(B)/libunlearn.a
	@rm -f $@
	@echo "  test  $@"
	$(Q)$(CC) $(TESTFLAGS) -MMD -MP -MT $@ -MF $@.d $(LDFLAGS) -o $@ $< $(B)/test/test.o $(B)/net.a $(B)/libunlearn.a $(LDLIBS)
$(FUZZ_BIN): $(B)/test/%: tests/%.c tests/fuzz/fuzz.c tests/fuzz/fuzz.h $(B)/net.a $(B)/libunlearn.a
	@rm -f $@
	@mkdir -p $(@D)
	@echo "  test  $@"
	$(Q)$(CC) $(TESTFLAGS) -DFUZZ_REPLAY $(LDFLAGS) -o $@ $< tests/fuzz/fuzz.c $(B)/net.a $(B)/libunlearn.a $(LDLIBS)

# A test that does not build is a failure like any other, and the rest still runs. The shared library is built before
# the tests of `make install` run beside one another and would build it twice at once.
test:
	@$(if $(ONLY),:,tools/setup test) || echo "going on without: tests that need it are skipped"
	@mkdir -p $(B)/test && $(MAKE) -k --no-print-directory $(B)/unlearn $(if $(SAN),,$(B)/libunlearn.so) $$(tools/tests programs $(B) '$(ONLY)') > $(B)/test/build.log 2>&1; rc=$$?; \
	[ $$rc = 0 ] || grep -E 'error:|undefined reference|Error [0-9]|No rule' $(B)/test/build.log | head -n 40; \
	NOT_BUILT=$$([ $$rc = 0 ] || echo "see $(B)/test/build.log") tools/tests run $(B) '$(ONLY)'

# ---- install: program, library, header, pkg-config, manual pages and completion written by the program itself ----

PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := $(shell sed -nE 's/^.define UL_VERSION "(.*)"/\1/p' include/unlearn.h)
SONAME  := libunlearn.so.$(word 1,$(subst ., ,$(VERSION)))
INST    := $(DESTDIR)$(PREFIX)
MAN     := $(INST)/share/man/man1
INSTALLED = $(INST)/bin/unlearn $(INST)/lib/libunlearn.a $(INST)/lib/libunlearn.so $(INST)/lib/$(SONAME) $(INST)/lib/libunlearn.so.$(VERSION) \
	$(INST)/include/unlearn.h $(INST)/lib/pkgconfig/unlearn.pc $(INST)/share/bash-completion/completions/unlearn \
	$(INST)/share/zsh/site-functions/_unlearn $(wildcard $(MAN)/unlearn.1 $(MAN)/unlearn-*.1)

# The shared library shows what unlearn.h declares, and nothing else.
$(B)/libunlearn.so: $(LIB_OBJ) include/unlearn.h
	@echo "  link  $@"
	@{ echo '{ global:'; sed -nE 's/^[a-z].*[ *](ul_[a-z0-9_]+)\(.*/\1;/p' include/unlearn.h; echo 'local: *; };'; } > $(B)/exports
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--version-script,$(B)/exports -Wl,--no-undefined -o $@ $(LIB_OBJ) $(LDLIBS)

install: $(B)/unlearn $(B)/libunlearn.a $(B)/libunlearn.so
	@mkdir -p $(INST)/bin $(INST)/lib/pkgconfig $(INST)/include $(MAN) $(INST)/share/bash-completion/completions $(INST)/share/zsh/site-functions
	install -m 755 $(B)/unlearn $(INST)/bin/unlearn
	install -m 644 $(B)/libunlearn.a $(INST)/lib/libunlearn.a
	install -m 755 $(B)/libunlearn.so $(INST)/lib/libunlearn.so.$(VERSION)
	ln -sf libunlearn.so.$(VERSION) $(INST)/lib/$(SONAME)
	ln -sf $(SONAME) $(INST)/lib/libunlearn.so
	install -m 644 include/unlearn.h $(INST)/include/unlearn.h
	@printf 'prefix=%s\nlibdir=$${prefix}/lib\nincludedir=$${prefix}/include\n\nName: unlearn\nDescription: makes a language model forget and measures whether it did\nVersion: %s\nLibs: -L$${libdir} -lunlearn\nRequires.private: %s\nLibs.private: $(MATH) -lm -fopenmp\nCflags: -I$${includedir}\n' \
		'$(abspath $(PREFIX))' '$(VERSION)' '$(PKG)' > $(INST)/lib/pkgconfig/unlearn.pc
	@$(B)/unlearn help --man > $(MAN)/unlearn.1
	@for v in $$(sed -nE 's,^extern const ul_verb ul_verb_([a-z0-9_]+);,\1,p' $(B)/gen/verbs.c); do $(B)/unlearn help $$v --man > $(MAN)/unlearn-$$v.1 || exit 1; done
	@$(B)/unlearn help --completion bash > $(INST)/share/bash-completion/completions/unlearn
	@$(B)/unlearn help --completion zsh > $(INST)/share/zsh/site-functions/_unlearn
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig 2>/dev/null || true
uninstall:
	rm -f $(INSTALLED)

# ---- check: what machines can judge ----

FORMATTED := $(sort $(wildcard include/*.h src/*/*.[ch] src/*/*/*.[ch] tests/*.[ch] tests/*/*.[ch] examples/*.c))
TIDY      := $(patsubst src/%.c,$(B)/check/%.tidy,$(LIB_SRC) $(NET_SRC) $(CLI_SRC))

check: check-layers check-format check-tidy check-cppcheck check-docs
check-layers: $(B)/libunlearn.a
	@tools/layers $(B)
check-format:
	@clang-format --dry-run --Werror $(FORMATTED) && echo "clang-format: $(words $(FORMATTED)) files"
# clang does not know gcc's target pragma.
$(B)/check/tensor/cpu/kern_avx2.tidy $(B)/fuzz/obj/tensor/cpu/kern_avx2.o: ISA := -mavx2 -mfma -mf16c
$(B)/check/tensor/cpu/kern_avx512.tidy $(B)/fuzz/obj/tensor/cpu/kern_avx512.o: ISA := -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mamx-tile -mamx-bf16
# A file is looked at again when it or a header has changed.
$(B)/check/%.tidy: src/%.c .clang-tidy $(wildcard include/*.h src/*/*.h src/*/*/*.h)
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- -std=c17 -D_GNU_SOURCE $(ISA) $(INCLUDE) $(DEPINC) > $@.log 2>/dev/null || { grep -E 'warning:|error:|note:' $@.log; exit 1; }
	@mv $@.log $@
tidy-all: $(TIDY)
check-tidy: $(B)/gen/registry.c
	@$(MAKE) -k -j2 --no-print-directory tidy-all >$(B)/check.log 2>&1; rc=$$?; grep -E 'warning:|error:|note:' $(B)/check.log; \
	[ $$rc = 0 ] && echo "clang-tidy: $(words $(TIDY)) files"
check-cppcheck:
	@mkdir -p $(B)/check/cppcheck
	@cppcheck --quiet -j2 --std=c11 --enable=warning,portability,performance --inline-suppr --error-exitcode=1 --cppcheck-build-dir=$(B)/check/cppcheck \
		--suppress=missingIncludeSystem --suppress=unknownMacro --suppress=unusedStructMember --suppress=duplicateAssignExpression --suppress=invalidFunctionArg --suppress=invalidPointerCast \
		--suppress=uninitvar:src/text/tok_text.c -D_GNU_SOURCE -D__GNUC__ -Iinclude -Isrc src && \
		echo "cppcheck: $(words $(LIB_SRC) $(NET_SRC) $(CLI_SRC)) files"
check-docs: $(B)/unlearn
	@tools/docs check $(B)
	@tools/docs-commands $(B)

# ---- documents written by the program, and the demonstration ----

docs: $(B)/unlearn
	@tools/docs write $(B)
demo:
	@tools/setup
	@$(MAKE) --no-print-directory $(B)/unlearn
	@tools/demo $(B) '$(MODEL)'

# ---- fuzz: every parser under libFuzzer with ASan and UBSan; without OpenMP, whose threads a fuzzer does not need ----

TIME   ?= 10
FB     := $(B)/fuzz
FUZZCC := clang -std=c17 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer -fno-math-errno -Wno-unknown-pragmas -Wno-unknown-attributes $(INCLUDE) $(DEPINC) -I. -Itests
FUZZSAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_OBJ := $(patsubst src/%.c,$(FB)/obj/%.o,$(LIB_SRC) $(NET_SRC)) $(FB)/obj/gen/registry.o

$(FB)/obj/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	@echo "  clang $<"
	$(Q)$(FUZZCC) $(ISA) $(FUZZSAN) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
$(FB)/obj/gen/%.o: $(B)/gen/%.c
	@mkdir -p $(@D)
	$(Q)$(FUZZCC) $(FUZZSAN) -fsanitize=fuzzer-no-link -c -o $@ $<
$(FB)/lib.a: $(FUZZ_OBJ)
	@rm -f $@ && ar rcs $@ $(FUZZ_OBJ)
$(FB)/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.c tests/fuzz/fuzz.h $(FB)/lib.a
	@echo "  clang $@"
	$(Q)$(FUZZCC) $(FUZZSAN) -fsanitize=fuzzer -o $@ $< tests/fuzz/fuzz.c $(FB)/lib.a $(DEPLIB) $(shell gcc -print-file-name=libgomp.so)
fuzz: $(FUZZ_SRC:tests/fuzz/%.c=$(FB)/%)
	@tools/fuzz $(FB) $(TIME)

# ---- interop: exports opened by transformers, peft and llama.cpp, from PyPI; INTEROP_PYTHON names an environment that has them ----

interop: $(B)/unlearn
	@tests/interop/run $(B)

# ---- bench: beside PyTorch on the same work; MODEL=smollm2.gguf adds its own precisions. docs/performance.md holds what it measured ----

bench: $(B)/unlearn
	@tools/bench $(B) '$(MODEL)'

-include $(FUZZ_OBJ:.o=.d)
-include $(LIB_OBJ:.o=.d) $(NET_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(TEST_BIN:=.d) $(B)/test/test.d
clean:
	rm -rf build
MODEL ?=
SIZE  ?= short
# Slow, and worth it before a release: docs/phenomena.md holds what it measured.
reproduce-reveal: $(B)/unlearn
	@tools/reproduce-reveal $(B) $(SIZE)
phenomena: $(B)/unlearn
	@tests/phenomena/seeds $(B) $(SEEDS)
reproduce-dfsu: $(B)/unlearn
	@tools/reproduce-dfsu $(B)
reproduce-by-name: $(B)/unlearn
	@tools/reproduce-by-name $(B)
reproduce-mpu: $(B)/unlearn
	@tools/reproduce-mpu $(B) $(MODEL)
.PHONY: all clean docs demo phenomena reproduce-reveal test install uninstall check check-layers check-format check-tidy check-cppcheck check-docs tidy-all fuzz interop bench reproduce-dfsu reproduce-by-name reproduce-mpu
